//! Metrics: a registry that knows the supervisor's own and those of the application, and their exposition to Prometheus.
//!
//! There is no global state: whoever records has the registry, and says what time it is.

mod exposition;
mod histogram;
mod name;
mod negotiation;
mod registry;
mod summary;

pub(crate) use exposition::Exposition;
pub(crate) use name::MetricName;
pub(crate) use registry::{Kind, Registry};

#[cfg(test)]
pub(crate) mod tests;
