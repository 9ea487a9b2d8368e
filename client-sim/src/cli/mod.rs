//! What was typed becomes options, what was found becomes a table, files and an exit code.

mod live;
pub(crate) mod run;
