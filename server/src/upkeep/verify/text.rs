//! What a proof came to, as people read it.

use super::{Total, Verified};
use std::fmt;

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { players, entries, instances, exchanges, gifts, quiet, seconds, totals, faults, .. } = self;
        let Self { skus, holds, entries_per_second, .. } = self;
        writeln!(f, "players    {players}")?;
        writeln!(f, "entries    {entries}, {exchanges} of them halves of exchanges")?;
        writeln!(f, "stacks     {instances}")?;
        writeln!(f, "gifts      {gifts} put into inboxes")?;
        writeln!(f, "stocks     {skus}, with {holds} holds made on them")?;
        writeln!(f, "took       {seconds:.1} s, {entries_per_second} entries a second")?;
        let wrote = if *quiet { "nobody else" } else { "servers; totals are of no one moment" };
        writeln!(f, "wrote      {wrote}")?;
        if !totals.is_empty() {
            writeln!(f, "\ntotals")?;
        }
        for (item, Total { minted, sunk, held, waiting }) in totals {
            writeln!(f, "  {item}: {minted} made, {sunk} used up, {held} held, {waiting} waiting")?;
        }
        writeln!(f)?;
        faults.iter().try_for_each(|fault| writeln!(f, "FAULT {fault}"))?;
        match faults.len() {
            0 => writeln!(f, "no faults: every entry leads from birth to what is stored, and everything is there once"),
            1 => writeln!(f, "1 fault"),
            many => writeln!(f, "{many} faults"),
        }
    }
}
