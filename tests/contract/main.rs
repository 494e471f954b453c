//! The ports' contracts: one suite, run over every implementation.

mod backend;
mod deliveries;
mod queue;
mod stores;
