//! What a client is told: snapshots and deltas, the ring of kept frames, and the queue of frames that wait for
//! durability.
//!
//! Called by `roster` (which holds one feed a player and one outbox a connection). Knows the engine's facts and the
//! protocol's messages; never a socket, a store or a lock.

pub mod delta;
pub mod feed;
pub mod outbox;
pub mod snapshot;
