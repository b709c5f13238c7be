//! Reads values as the table of keys says they are; what they are not is collected, never returned early.

mod compound;
mod scalar;

pub(crate) use scalar::{Limit, UNLIMITED};

use crate::error::Problem;
use crate::json5::{Data, Member, Position, Value};
use crate::keys::{Section, Shape};
use crate::suggest::nearest;

/// Collects what is wrong.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// Where something stands in the document, for errors about it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) at: Position,
    pub(crate) path: String,
}

/// A value and its path.
pub(crate) struct Field<'v> {
    pub(crate) value: &'v Value,
    pub(crate) place: Place,
}

/// An object whose keys are known.
pub(crate) struct Object<'v> {
    pub(crate) place: Place,
    members: &'v [Member],
    section: &'static Section,
}

impl<'v> Object<'v> {
    /// The value of a key; `null` is as good as absent.
    pub(crate) fn field(&self, key: &'static str) -> Option<Field<'v>> {
        debug_assert!(self.section.key(key).is_some(), "{key} is not in the table of {}", self.section.name);
        let member = self.members.iter().find(|member| member.key == key)?;
        (member.value.data != Data::Null).then(|| Field { value: &member.value, place: self.place_of(key) })
    }

    /// Where a key stands, or would.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        let member = self.members.iter().find(|member| member.key == key);
        let at = member.map_or(self.place.at, |member| member.value.at);
        let path = if self.place.path.is_empty() { key.to_string() } else { format!("{}.{key}", self.place.path) };
        Place { at, path }
    }

    fn shape(&self, key: &str) -> Shape {
        self.section.key(key).expect("`field` found the key in the table").shape
    }
}

impl Reader {
    pub(crate) fn problem(&mut self, place: &Place, message: impl Into<String>) {
        self.problems.push(Problem::new(place.at, &place.path, message));
    }

    pub(crate) fn warn(&mut self, place: &Place, message: impl Into<String>) {
        self.warnings.push(Problem::new(place.at, &place.path, message));
    }

    fn mismatch(&mut self, field: &Field<'_>, expected: &str) {
        self.problem(&field.place, format!("expected {expected}, found {}", field.value.data.kind()));
    }

    /// Reads a value as an object; unknown keys are errors that suggest the nearest known one.
    pub(crate) fn as_object<'v>(&mut self, field: &Field<'v>, section: &'static Section) -> Option<Object<'v>> {
        let Data::Object(members) = &field.value.data else {
            self.mismatch(field, &format!("an object ({})", section.name));
            return None;
        };
        let place = field.place.clone();
        let object = Object { place, members, section };
        for member in members.iter().filter(|member| section.key(&member.key).is_none()) {
            let place = Place { at: member.at, path: object.place_of(&member.key).path };
            let hint = match nearest(&member.key, section.keys.iter().map(|key| key.name)) {
                Some(known) => format!("unknown key; did you mean `{known}`?"),
                None => {
                    let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
                    format!("unknown key; a {} takes {}", section.name, known.join(", "))
                }
            };
            self.problem(&place, hint);
        }
        Some(object)
    }

    pub(crate) fn object<'v>(&mut self, object: &Object<'v>, key: &'static str) -> Option<Object<'v>> {
        let field = object.field(key)?;
        let (Shape::Object(section) | Shape::Address(section)) = object.shape(key) else {
            unreachable!("{key} is no object in the table")
        };
        self.as_object(&field, section)
    }

    pub(crate) fn list<'v>(&mut self, object: &Object<'v>, key: &'static str) -> Vec<Object<'v>> {
        let Some(field) = object.field(key) else { return Vec::new() };
        let Shape::List(section) = object.shape(key) else { unreachable!("{key} is no list in the table") };
        let Data::Array(items) = &field.value.data else {
            self.mismatch(&field, &format!("an array of objects ({})", section.name));
            return Vec::new();
        };
        let elements = items.iter().enumerate().filter(|(_, item)| item.data != Data::Null);
        let element = |(index, value): (usize, &'v Value)| {
            let place = Place { at: value.at, path: format!("{}[{index}]", field.place.path) };
            self.as_object(&Field { value, place }, section)
        };
        elements.filter_map(element).collect()
    }
}
