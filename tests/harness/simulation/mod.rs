//! The deterministic simulation: roster, journal and store over the memory store, two nodes, a paused clock, and faults
//! from one seed. The same seed gives the same trace.
//!
//! A run is a sequence of random steps of a few clients (log in, act, repeat, vanish), of the shop (carts that want the same
//! units, new prices, more stock) and of misfortune (delays, lost requests, answers and letters, an unavailable store, a node
//! that is cut off or stopped for longer than its lease, kill -9, a store that loses its last writes, takeovers and releases). While it runs, every client checks what it is
//! told: nothing that is not at rest, nothing older than another node has told it, and nothing at all by a node whose
//! lease has run out. In the end everybody moves to another node, and everything at rest is audited against every
//! acknowledgement.

mod acting;
mod audit;
mod cart;
mod client;
mod shop;
mod stopped;
mod world;

pub use world::{Plan, Repertoire, Report, Sabotage, session_options};

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
