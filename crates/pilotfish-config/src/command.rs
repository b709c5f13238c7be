//! Commands: a text that is split like a shell would, or an array.

/// What ContainerPilot says of a command without words.
pub(crate) const EMPTY: &str = "received zero-length argument";

/// Splits at white space; quotes group, as in a shell. A backslash is an escape before `"` and `\` within double quotes only, so that
/// commands which ContainerPilot's plain split at spaces left alone still mean the same.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(found) = characters.next() {
        match found {
            '"' | '\'' => quoted(&mut characters, found, word.get_or_insert_default())?,
            found if found.is_whitespace() => words.extend(word.take()),
            found => word.get_or_insert_default().push(found),
        }
    }
    words.extend(word);
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(EMPTY.into()),
    }
}

fn quoted(characters: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), String> {
    while let Some(found) = characters.next() {
        match found {
            found if found == quote => return Ok(()),
            '\\' if quote == '"' => {
                let rest = characters.as_str();
                match rest.chars().next() {
                    Some(escaped @ ('"' | '\\')) => {
                        characters.next();
                        word.push(escaped);
                    }
                    _ => word.push('\\'),
                }
            }
            found => word.push(found),
        }
    }
    Err(format!("the quote {quote} is never closed; close it, or write the command as an array"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_group_and_spaces_split() {
        for (text, expect) in [
            ("/bin/app  a b ", vec!["/bin/app", "a", "b"]),
            ("nginx -g \"daemon off;\"", vec!["nginx", "-g", "daemon off;"]),
            ("sh -c 'echo \"$A\"'", vec!["sh", "-c", "echo \"$A\""]),
            ("a\"b c\"d ''", vec!["ab cd", ""]),
            (r#"grep \d "a\"b\\c\d""#, vec!["grep", r"\d", r#"a"b\c\d"#]),
        ] {
            assert_eq!(split(text).expect(text), expect, "{text}");
        }
        for text in ["", "  ", "''", "echo it's"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
