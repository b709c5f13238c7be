//! What the supervisor decides, tried in a model world: no process, no catalog, no clock.

mod catalog;
mod desk;
mod jobs;
mod life;
mod model;

mod random;
mod reload;
mod specs;
mod stop;
mod templates;
mod watches;
