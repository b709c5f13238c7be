//! Regular expressions, with the errors of Go's `regexp` for the commonest mistakes.

use regex_lite::Regex;

/// Understands a pattern.
///
/// # Errors
/// `error parsing regexp: `, and what is wrong.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| {
        let reason = mistake(pattern).unwrap_or_else(|| format!("{error}: `{pattern}`"));
        format!("error parsing regexp: {reason}")
    })
}

/// What Go calls the first mistake in a pattern, if it is one of the common ones.
fn mistake(pattern: &str) -> Option<String> {
    let (mut groups, mut repeatable) = (0, false);
    let mut letters = pattern.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                if letters.next().is_none() {
                    return Some("trailing backslash at end of expression: ``".to_owned());
                }
                repeatable = true;
            }
            '[' => {
                let mut closed = false;
                let mut first = true;
                for (_, inner) in letters.by_ref() {
                    if inner == ']' && !first {
                        closed = true;
                        break;
                    }
                    first = first && inner == '^';
                }
                if !closed {
                    return Some(format!("missing closing ]: `{}`", &pattern[at..]));
                }
                repeatable = true;
            }
            '(' => {
                groups += 1;
                repeatable = false;
            }
            ')' if groups == 0 => return Some(format!("unexpected ): `{pattern}`")),
            ')' => {
                groups -= 1;
                repeatable = true;
            }
            '*' | '+' | '?' if !repeatable && !pattern[..at].ends_with('(') => {
                return Some(format!("missing argument to repetition operator: `{letter}`"));
            }
            '|' => repeatable = false,
            _ => repeatable = true,
        }
    }
    (groups > 0).then(|| format!("missing closing ): `{pattern}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_in_the_words_of_go() {
        let check = |pattern: &str, expect: &str| {
            let error = compile(pattern).expect_err(pattern);
            assert_eq!(error, format!("error parsing regexp: {expect}"), "{pattern}");
        };
        check("(", "missing closing ): `(`");
        check("[", "missing closing ]: `[`");
        check("a[b", "missing closing ]: `[b`");
        check("a)", "unexpected ): `a)`");
        check("*a", "missing argument to repetition operator: `*`");
        assert!(compile("^(a|b)+[x-z]?$").is_ok());
    }
}
