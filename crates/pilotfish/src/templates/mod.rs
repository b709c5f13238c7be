//! What templates need of the outside: answers from the catalog, and a file that is replaced as a whole.
//!
//! ```text
//! Query --facts::ask--> Value --follow--> Message::Fact --> the loop --render--> text --replace::stage--> file beside --commit--> file
//! ```
//!
//! Nothing here decides: which questions are followed, when is rendered and what is put in place is the state machine's business.

pub(crate) mod facts;
mod file;
pub(crate) mod follow;
mod instances;
pub(crate) mod replace;
