//! Statements: what a server of either flavour is asked and told.
