//! JSON text of a tree, for `show` and `schema`.

use std::fmt::Write;

/// What is printed.
pub(crate) enum Node {
    Boolean(bool),
    Number(i64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn text(text: impl Into<String>) -> Node {
        Node::Text(text.into())
    }

    pub(crate) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Node {
        Node::List(texts.into_iter().map(Node::text).collect())
    }

    pub(crate) fn map<K: Into<String>>(members: impl IntoIterator<Item = (K, Node)>) -> Node {
        Node::Map(members.into_iter().map(|(key, node)| (key.into(), node)).collect())
    }

    /// Indented by two spaces, with a line end at the end.
    pub(crate) fn print(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text.push('\n');
        text
    }

    fn write(&self, text: &mut String, depth: usize) {
        match self {
            Node::Boolean(value) => text.push_str(if *value { "true" } else { "false" }),
            Node::Number(value) => text.push_str(&value.to_string()),
            Node::Text(value) => quote(text, value),
            Node::List(items) if items.iter().all(Node::is_scalar) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { ", " });
                    item.write(text, depth);
                }
                text.push(']');
            }
            Node::List(items) => block(text, depth, ['[', ']'], items, |text, item| item.write(text, depth + 1)),
            Node::Map(members) if members.is_empty() => text.push_str("{}"),
            Node::Map(members) => block(text, depth, ['{', '}'], members, |text, (key, node)| {
                quote(text, key);
                text.push_str(": ");
                node.write(text, depth + 1);
            }),
        }
    }

    fn is_scalar(&self) -> bool {
        matches!(self, Node::Boolean(_) | Node::Number(_) | Node::Text(_))
    }
}

fn block<T>(text: &mut String, depth: usize, brackets: [char; 2], items: &[T], write: impl Fn(&mut String, &T)) {
    text.push(brackets[0]);
    for (index, item) in items.iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth + 1));
        write(text, item);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push(brackets[1]);
}

/// A text in quotes. Braces that would begin a template action are escaped, so that the output can be loaded again.
fn quote(text: &mut String, value: &str) {
    text.push('"');
    let mut previous = '\0';
    for found in value.chars() {
        match found {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '{' if previous == '{' => text.push_str("\\u007b"),
            // Typographic quotes would be taken for straight ones if something else in the document were wrong.
            '\u{201c}' | '\u{201d}' | '\u{2028}' | '\u{2029}' => {
                write!(text, "\\u{:04x}", u32::from(found)).expect("a String takes all")
            }
            found if found.is_control() => write!(text, "\\u{:04x}", u32::from(found)).expect("a String takes all"),
            found => text.push(found),
        }
        previous = found;
    }
    text.push('"');
}
