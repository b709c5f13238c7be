//! Which of the two vocabularies a document speaks; nobody writes that down, so its words have to tell.

use crate::json5::{Data, Member, Position, Value};
use crate::keys::{self, Section};
use crate::reader::{Place, Reader};

/// The words of ContainerPilot 2 or of ContainerPilot 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    V2,
    V3,
}

/// A key that only one vocabulary has, as its path.
struct Telling {
    vocabulary: Vocabulary,
    path: String,
    at: Position,
}

impl Vocabulary {
    /// The vocabulary of a document; one that uses no telling word speaks v2 if the command line names the application.
    pub(crate) fn of(reader: &mut Reader, document: &Value, has_command: bool) -> Option<Vocabulary> {
        let Data::Object(members) = &document.data else {
            let kind = document.data.kind();
            let message = format!("expected an object, such as {{ consul: \"localhost:8500\" }}, found {kind}");
            reader.problem(&Place { at: document.at, path: String::new() }, message);
            return None;
        };
        let telling: Vec<Telling> = members.iter().flat_map(tellings).collect();
        let first = |vocabulary| telling.iter().find(|telling| telling.vocabulary == vocabulary);
        match (first(Vocabulary::V2), first(Vocabulary::V3)) {
            (Some(v2), Some(v3)) => {
                let message = format!(
                    "`{}` (line {}) is a key of ContainerPilot 2 and `{}` (line {}) of ContainerPilot 3; a document cannot mix them; `config show` translates a v2 document",
                    v2.path, v2.at.line, v3.path, v3.at.line
                );
                let later = if v2.at > v3.at { v2 } else { v3 };
                reader.problem(&Place { at: later.at, path: later.path.clone() }, message);
                None
            }
            (Some(_), None) => Some(Vocabulary::V2),
            (None, Some(_)) => Some(Vocabulary::V3),
            (None, None) => Some(if has_command { Vocabulary::V2 } else { Vocabulary::V3 }),
        }
    }

    /// The keys of its document.
    pub(crate) fn section(self) -> &'static Section {
        match self {
            Vocabulary::V2 => &keys::V2,
            Vocabulary::V3 => &keys::V3,
        }
    }
}

/// What a top-level member tells; `telemetry` is in both vocabularies, but not all of its keys are.
fn tellings(member: &Member) -> Vec<Telling> {
    let telling = |vocabulary, path, at| vec![Telling { vocabulary, path, at }];
    match (member.key.as_str(), &member.value.data) {
        (key, _) if keys::V2_ONLY.contains(&key) => telling(Vocabulary::V2, key.into(), member.at),
        (key, _) if keys::V3_ONLY.contains(&key) => telling(Vocabulary::V3, key.into(), member.at),
        ("telemetry", Data::Object(inner)) => inner
            .iter()
            .filter_map(|member| {
                let vocabulary = match member.key.as_str() {
                    "sensors" | "poll" => Vocabulary::V2,
                    "metrics" => Vocabulary::V3,
                    _ => return None,
                };
                Some(Telling { vocabulary, path: format!("telemetry.{}", member.key), at: member.at })
            })
            .collect(),
        _ => Vec::new(),
    }
}
