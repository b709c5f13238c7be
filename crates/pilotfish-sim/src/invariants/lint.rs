//! The judge of decisions never objects.

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct Lint;

impl Invariant for Lint {
    fn name(&self) -> &'static str {
        "lint"
    }

    fn check(&mut self, _world: &World, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Objection { member, act, text } => Err(format!("member {}: {act:?}: {text}", member + 1)),
            _other => Ok(()),
        }
    }
}
