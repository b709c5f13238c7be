//! What one rendering may use, and the account of what it has used.
//!
//! Time is not read here: work is counted in steps, so that the same template and data always end at the same place.

use crate::functions::FunctionError;

/// Levels of blocks and parentheses that a text may nest before it is refused, in levels.
///
/// Go allows 10,000 parentheses and any number of blocks on its growing stack. Ours is fixed (2 MiB in a Rust thread),
/// and templates that people write stay below 20.
pub const MAX_SYNTAX_NESTING: usize = 100;

/// Commands that one pipeline may hold, in commands; the same bound as Go's.
pub const MAX_PIPELINE_COMMANDS: usize = 100_000;

/// Levels of lists, maps and structs that printing descends into, in levels.
pub const MAX_VALUE_NESTING: usize = 200;

/// Bytes of text that cost one step when a function reads or writes them, in bytes.
pub(crate) const BYTES_PER_STEP: usize = 64;

/// What a rendering within a rendering may do, in steps.
const MAX_INNER_STEPS: u64 = 5_000;

/// What a rendering within a rendering may build, in bytes.
const MAX_INNER_BYTES: usize = 64 << 10;

/// The bounds of one rendering. Going over one is an [`Error`](crate::Error) of kind `Limit`, never a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Blocks, parentheses and template calls that may be open at the same time, in levels.
    pub nesting: usize,
    /// The longest text that may be rendered, in bytes.
    pub output_bytes: usize,
    /// All strings and lists that functions may build during the rendering, in bytes.
    pub working_bytes: usize,
    /// Actions, arguments and rounds of loops that may be evaluated, in steps. Functions pay one step for every
    /// 64 bytes they read or write; a million steps take about a tenth of a second.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { nesting: 400, output_bytes: 64 << 20, working_bytes: 256 << 20, steps: 20_000_000 }
    }
}

/// One of the [`Limits`], named in the error of the rendering that went over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::output_bytes`].
    OutputBytes,
    /// [`Limits::working_bytes`].
    WorkingBytes,
    /// [`Limits::steps`].
    Steps,
    /// [`MAX_VALUE_NESTING`].
    ValueNesting,
}

impl Limit {
    pub(crate) fn message(self) -> &'static str {
        match self {
            Limit::OutputBytes => "exceeded maximum output size",
            Limit::WorkingBytes => "exceeded maximum size of working values",
            Limit::Steps => "exceeded maximum number of steps",
            Limit::ValueNesting => "exceeded maximum nesting of values",
        }
    }
}

/// What is left of the limits that are used up as a rendering goes on.
pub(crate) struct Budget {
    steps: u64,
    working_bytes: usize,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Budget { steps: limits.steps, working_bytes: limits.working_bytes }
    }

    pub(crate) fn spend(&mut self, steps: u64) -> Result<(), FunctionError> {
        self.steps = self.steps.checked_sub(steps).ok_or(FunctionError::Exceeded(Limit::Steps))?;
        Ok(())
    }

    /// Pays for text that is read, which takes time but no memory.
    pub(crate) fn read(&mut self, bytes: usize) -> Result<(), FunctionError> {
        self.spend((bytes / BYTES_PER_STEP) as u64)
    }

    /// Pays for text or lists that are built, which takes both.
    pub(crate) fn build(&mut self, bytes: usize) -> Result<(), FunctionError> {
        self.working_bytes =
            self.working_bytes.checked_sub(bytes).ok_or(FunctionError::Exceeded(Limit::WorkingBytes))?;
        self.read(bytes)
    }

    /// The limits for a rendering within this one.
    pub(crate) fn inner(&self) -> Limits {
        let bytes = self.working_bytes.min(MAX_INNER_BYTES);
        Limits { nesting: MAX_SYNTAX_NESTING, output_bytes: bytes, working_bytes: bytes, steps: MAX_INNER_STEPS }
    }

    pub(crate) fn working_bytes(&self) -> usize {
        self.working_bytes
    }
}
