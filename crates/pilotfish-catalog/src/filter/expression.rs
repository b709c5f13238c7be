//! An expression as a tree.

/// What holds or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Match { selector: Vec<String>, operator: Operator, value: String },
}

/// How a field is compared; `NotIn` and the like are the others' opposites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    In,
    NotIn,
    Empty,
    NotEmpty,
    Matches,
    NotMatches,
}

impl Operator {
    /// As Consul calls it in errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operator::Equal => "Equal",
            Operator::NotEqual => "Not Equal",
            Operator::In => "In",
            Operator::NotIn => "Not In",
            Operator::Empty => "Is Empty",
            Operator::NotEmpty => "Is Not Empty",
            Operator::Matches => "Matches",
            Operator::NotMatches => "Not Matches",
        }
    }
}
