//! The deterministic simulation: roster, journal and store over the memory store, two nodes, a paused clock, and faults
//! from one seed. The same seed gives the same trace.
//!
//! A run is a sequence of random steps of a few clients (log in, act, repeat, vanish) and of misfortune (delays, lost
//! requests and answers, an unavailable store, a lease that runs out, kill -9, a store that loses its last writes). While
//! it runs, every client checks what it is told; in the end everything at rest is audited against every acknowledgement.

mod audit;
mod client;
mod world;

pub use world::{Plan, Report, Sabotage};

/// Runs one plan to its end.
#[must_use]
pub fn run(plan: Plan) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async { world::World::new(plan).play().await })
}
