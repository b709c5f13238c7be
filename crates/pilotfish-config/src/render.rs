//! The seam to the template engine, and which variables a template wanted in vain.
//!
//! A variable that is not set renders as empty text, as in ContainerPilot (`missingkey=zero`). That is often wrong and sometimes meant, so it
//! is no error by itself: if the rendered document is invalid the error says which variables were not set, and if it is valid there is a
//! warning. A template that asks first (`if`, `with`, `default`) gets neither.
//!
//! The text tells them, not the rendering: a variable is a key of the template's dot, so the engine answers it without a question that its
//! `Facts` could record, and it could not tell a variable that is printed from one that is only tested.

use std::collections::{BTreeMap, BTreeSet};

use pilotfish_supervisor::NEW_FILE;

use crate::json5::Position;

/// Why a text could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// Renders a text over the environment.
pub(crate) fn render(text: &str, env: &BTreeMap<String, String>) -> Result<String, TemplateError> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let error = |error: pilotfish_template::Error| {
        let line = text.split('\n').nth(error.line.saturating_sub(1)).unwrap_or("");
        let bytes = error.column.unwrap_or(0);
        let column = line.char_indices().take_while(|(index, _)| *index < bytes).count() + 1;
        TemplateError { at: Position { line: error.line, column }, message: error.message }
    };
    pilotfish_template::render_config("config", text, env).map(|output| output.text).map_err(error)
}

/// Renders a document. In it `{{.Path}}` is not a variable but stands for the path of a new file, in the check of a template, and stays.
pub(crate) fn render_document(text: &str, env: &BTreeMap<String, String>) -> Result<String, TemplateError> {
    let mut env = env.clone();
    env.entry(PATH.to_owned()).or_insert_with(|| NEW_FILE.to_owned());
    render(text, &env)
}

/// The name in [`NEW_FILE`].
const PATH: &str = "Path";

/// Variables that the template prints although they are not set, with the place of the first use.
pub(crate) fn unset_variables(text: &str, env: &BTreeMap<String, String>) -> BTreeMap<String, Position> {
    let mut unset = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for (content, offset) in actions(text) {
        match printed(content) {
            Some(name) if name != PATH && !env.contains_key(name) => {
                unset.entry(name.to_string()).or_insert_with(|| Position::of(text, offset));
            }
            Some(_) => {}
            None => asked.extend(words(content).filter_map(variable)),
        }
    }
    unset.retain(|name, _| !asked.contains(name.as_str()));
    unset
}

/// The insides of all `{{ }}`, and where each begins in the text.
fn actions(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let start = offset + text[offset..].find("{{")?;
        let content = &text[start + 2..];
        let content = &content[..content.find("}}")?];
        offset = start + content.len() + 4;
        Some((content, start))
    })
}

/// The name in an action that is nothing but `.NAME` or `env "NAME"`.
fn printed(content: &str) -> Option<&str> {
    let mut words = words(content.trim_start_matches('-').trim_end_matches('-'));
    let plain = !content.contains(['|', '(']);
    match (words.next(), words.next(), words.next()) {
        (Some(name), None, None) if plain && name.starts_with('.') => variable(name),
        (Some("env"), Some(name), None) if plain && !name.starts_with('.') => variable(name),
        _ => None,
    }
}

fn words(content: &str) -> impl Iterator<Item = &str> {
    let ends = |found: char| found.is_whitespace() || matches!(found, '(' | ')' | '|');
    content.split(ends).filter(|word| !word.is_empty())
}

/// The name in `.NAME`, or in `"NAME"` as an argument of `env`.
fn variable(word: &str) -> Option<&str> {
    let quoted = |quote| word.strip_prefix(quote)?.strip_suffix(quote);
    let name = word.strip_prefix('.').or_else(|| quoted('"')).or_else(|| quoted('`'))?;
    let is_name = !name.is_empty() && name.chars().all(|found| found.is_alphanumeric() || found == '_');
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_that_are_printed_without_being_asked_for_are_unset() {
        let check = |text: &str, expect: &[(&str, usize, usize)]| {
            let env = BTreeMap::from([("SET".to_string(), String::new())]);
            let unset = unset_variables(text, &env);
            let unset: Vec<_> = unset.iter().map(|(name, at)| (name.as_str(), at.line, at.column)).collect();
            assert_eq!(unset, expect, "{text}");
            render(text, &env).expect(text);
        };
        check("{{ .SET }} {{ .PORT }}", &[("PORT", 1, 12)]);
        check("\n\u{e9} {{- .PORT -}}{{.PORT}}", &[("PORT", 2, 3)]);
        check("{{ env \"PORT\" }}{{ env `HOST` }}{{ env \"SET\" }}", &[("HOST", 1, 17), ("PORT", 1, 1)]);
        check("{{ .PORT | default 80 }}{{ env \"HOST\" | default \"h\" }}", &[]);
        check("{{ if .DEBUG }}{{ .DEBUG }}{{ end }}{{ with .NAME }}{{ . }}{{ end }}", &[]);
        check("{{ if (env \"DEBUG\") }}{{ env \"DEBUG\" }}{{ end }}", &[]);
        check("{{/* .NOTE is not printed */}}{{ $x := .NAME }}{{ $x }}{{ \"{\" }}", &[]);
        check("no action, {{ \"\" }}", &[]);
    }
}
