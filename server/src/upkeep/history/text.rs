//! A history as people read it: an entry as `inspect` shows it, and under it each place before and after.

use super::{Changed, History, Opened, Told};
use crate::{clock, upkeep::inspect::What};
use std::fmt;

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { player, revision, opened, entries, lost, unreadable } = self;
        writeln!(f, "player    {player}")?;
        writeln!(f, "revision  {revision}")?;
        if let Some(Opened { revision, at }) = opened {
            writeln!(f, "opening   at revision {revision}, {}: earlier entries are no longer kept", clock::iso(*at))?;
        }
        writeln!(f)?;
        if entries.is_empty() {
            writeln!(f, "nothing of this kind happened")?;
        }
        entries.iter().try_for_each(|told| write!(f, "{told}"))?;
        if let Some(lost) = lost {
            writeln!(f, "LOST: what changed earlier is not known: {}", lost.escape_debug())?;
        }
        unreadable.iter().try_for_each(|error| writeln!(f, "UNREADABLE: {error:?}"))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.entry)?;
        self.changes.iter().try_for_each(|changed| writeln!(f, "      {changed}"))
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |what: &Option<What>| what.as_ref().map_or_else(|| "nothing".to_owned(), |what| what.to_string());
        let (before, after) = (shown(&self.before), shown(&self.after));
        write!(f, "{:<12} {} → {}", self.place, before.trim_start(), after.trim_start())
    }
}
