//! The characters that the parts of a query may have.

use alloc::string::{String, ToString};

/// What is left of a query while its parts are cut off from the end.
pub(super) struct Rest<'q>(pub(super) &'q str);

impl Rest<'_> {
    /// Cuts off `mark` and what follows its last occurrence, if that is a valid part.
    pub(super) fn cut_last(&mut self, mark: char, valid: fn(&str) -> bool) -> Option<String> {
        let (before, part) = self.0.rsplit_once(mark)?;
        if !valid(part) {
            return None;
        }
        self.0 = before;
        Some(part.to_string())
    }
}

fn all(text: &str, allowed: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || allowed.as_bytes().contains(&byte))
}

/// A name of a service.
pub(super) fn is_service(text: &str) -> bool {
    all(text, "-")
}

/// A name of a node or a datacenter.
pub(super) fn is_dotted(text: &str) -> bool {
    all(text, ".-")
}

/// A tag.
pub(super) fn is_tag(text: &str) -> bool {
    all(text, "=:.-")
}

/// Words with commas between them.
pub(super) fn is_statuses(text: &str) -> bool {
    all(text, ",")
}

/// Whether a text that is no query would be one without what follows a question mark.
pub(super) fn is_query_option(text: &str) -> bool {
    text.contains('?')
}
