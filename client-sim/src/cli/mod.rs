//! What was typed becomes options, what was found becomes a table, files and an exit code.

pub(crate) mod compare;
mod live;
pub(crate) mod run;
