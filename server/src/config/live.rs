//! Which knobs a reload may change, and which ones are read at the start only.

use super::{
    load::Loaded,
    table::{KNOBS, Knob},
};

/// Sections and knobs that a reload changes; what is not named here, the start alone reads.
const LIVE: &[&str] = &["catalog.", "inventory.", "equipment.", "new_player.", "ledger.", "limits.", "log.level"];
/// Among them those that are built into what the start makes: sockets and their buffers.
const AT_START: &[&str] = &["limits.frame_bytes_max", "limits.read_buffer_bytes", "limits.send_buffer_bytes"];

impl Knob {
    /// Whether a change of it waits for the next start.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        !LIVE.iter().any(|live| self.path.starts_with(live)) || AT_START.contains(&self.path)
    }
}

/// A knob that stands otherwise than before.
#[derive(Debug, Clone)]
pub struct Turned {
    /// Which.
    pub knob: &'static Knob,
    /// What it was, as TOML.
    pub before: String,
    /// What it is.
    pub after: String,
}

impl Loaded {
    /// The knobs that stand otherwise in `then`, in the order of the config file.
    #[must_use]
    pub fn turned(&self, then: &Self) -> Vec<Turned> {
        let values = self.settings.values().into_iter().zip(then.settings.values());
        let turned = KNOBS.iter().zip(values).filter(|(_, (before, after))| before != after);
        turned.map(|(knob, (before, after))| Turned { knob, before, after }).collect()
    }
}
