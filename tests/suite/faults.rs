//! Faults with real processes: servers on a real Redis, and what happens to them. One at a time: each of them wants the machine.

mod kills;
mod losses;
mod market;
mod network;
mod refusals;
mod shop;
pub(crate) mod stage;
mod starts;
mod stops;
mod storms;
mod two_servers;
