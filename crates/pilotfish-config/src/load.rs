//! From text to config: size, template, syntax; what the parsed document means is another file's business.

use std::collections::BTreeMap;

use crate::config::{Loaded, ReadFile, Surroundings};
use crate::document;
use crate::error::{Errors, Problem};
use crate::json5::{self, Position, SyntaxError, Value};
use crate::reader::Reader;
use crate::render::{render_document, unset_variables};

/// The largest config in bytes, before and after rendering; a larger one is some other file.
pub const MAX_CONFIG_BYTES: usize = 4 << 20;

/// The start of the document, for errors about it as a whole.
const START: Position = Position { line: 1, column: 1 };

/// Takes the bytes of a file as the text of a config: not too large, and UTF-8.
pub fn decode<'b>(bytes: &'b [u8], source_name: &str) -> Result<&'b str, Errors> {
    if bytes.len() > MAX_CONFIG_BYTES {
        return Err(too_large(bytes.len(), source_name));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("not a config: byte {} is not UTF-8 text; is this the right file?", error.valid_up_to());
        Errors::one(source_name, Problem::new(START, "", message))
    })
}

fn too_large(bytes: usize, source_name: &str) -> Errors {
    let message = format!("the config has {bytes} bytes, more than {MAX_CONFIG_BYTES}; is this the right file?");
    Errors::one(source_name, Problem::new(START, "", message))
}

/// Renders a config's template over the environment, and nothing more.
pub fn rendered(text: &str, source_name: &str, surroundings: &Surroundings) -> Result<String, Errors> {
    if text.len() > MAX_CONFIG_BYTES {
        return Err(too_large(text.len(), source_name));
    }
    let rendered = render_document(text, &surroundings.env).map_err(|error| {
        Errors::one(source_name, Problem::new(error.at, "", format!("template: {}", error.message)))
    })?;
    if rendered.len() > MAX_CONFIG_BYTES {
        return Err(too_large(rendered.len(), source_name));
    }
    Ok(rendered)
}

/// Makes a checked config of a text, or says everything that is wrong with it. `source_name` is what errors call the text: its path;
/// `read_file` reads the files that templates come from.
pub fn load(
    text: &str,
    source_name: &str,
    surroundings: &Surroundings,
    read_file: &ReadFile<'_>,
) -> Result<Loaded, Errors> {
    let rendered = rendered(text, source_name, surroundings)?;
    let unset = unset_variables(text, &surroundings.env);
    let mut reader = Reader::default();
    let config = match parse(&rendered, &mut reader) {
        Ok(value) => document::read(&mut reader, &value, surroundings, read_file),
        Err(error) => {
            reader.problems.push(Problem::new(error.at, "", error.message));
            None
        }
    };
    match config {
        Some(config) if reader.problems.is_empty() => {
            let warnings = unset.iter().map(|(name, at)| unset_warning(name, *at)).chain(reader.warnings).collect();
            Ok(Loaded { config, warnings })
        }
        _ => Err(errors(source_name, reader.problems, &unset, text, &rendered)),
    }
}

fn unset_warning(name: &str, at: Position) -> Problem {
    let advice = format!("{{{{ .{name} | default \"...\" }}}} gives it a value");
    Problem::new(at, "", format!("the variable {name} is not set and rendered as nothing; {advice}"))
}

fn errors(
    source_name: &str,
    mut problems: Vec<Problem>,
    unset: &BTreeMap<String, Position>,
    text: &str,
    rendered: &str,
) -> Errors {
    problems.sort_by_key(|problem| (problem.line, problem.column));
    let mut notes = Vec::new();
    if !unset.is_empty() {
        let names = unset.iter().map(|(name, at)| format!("{name} (line {})", at.line));
        notes.push(format!(
            "not set in the environment and rendered as nothing: {}",
            names.collect::<Vec<_>>().join(", ")
        ));
    }
    if text.matches('\n').count() != rendered.matches('\n').count() {
        notes.push("lines are those of the document after its template was rendered".into());
    }
    Errors { source_name: source_name.into(), problems, notes }
}

/// Parses; typographic quotes, which word processors and slides put in place of straight ones, are accepted where a text is no JSON5 as it is.
fn parse(text: &str, reader: &mut Reader) -> Result<Value, SyntaxError> {
    let is_typographic = |found: char| matches!(found, '\u{201c}' | '\u{201d}');
    let first = text.find(is_typographic);
    let (error, first) = match (json5::parse(text), first) {
        (Err(error), Some(first)) => (error, first),
        (result, _) => return result,
    };
    let value = json5::parse(&text.replace(is_typographic, "\"")).map_err(|_| error)?;
    let message = "typographic quotes (\u{201c} \u{201d}) are taken as straight ones; replace them";
    reader.warnings.push(Problem::new(Position::of(text, first), "", message));
    Ok(value)
}
