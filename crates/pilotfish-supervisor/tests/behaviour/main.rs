//! What the supervisor decides, tried in a model world: no process, no catalog, no clock.

mod catalog;
mod claim;
mod desk;
mod jobs;
mod life;
mod model;
mod pulse;
mod random;
mod reload;
mod specs;
mod stop;
mod templates;
mod watches;
