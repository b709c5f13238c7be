//! What the supervisor decides, tried in a model world: no process, no catalog, no clock.

mod catalog;
mod claim;
mod jobs;
mod life;
mod model;
mod pulse;
mod random;
mod reload;
mod specs;
mod stop;
mod watches;
