//! What the process tells about itself.
//!
//! Written to from every room, read by `operator` and `app`. Never changes what the server does.

pub mod log;
pub mod metrics;
mod process;
pub mod readiness;
