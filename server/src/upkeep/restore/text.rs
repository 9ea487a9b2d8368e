//! A restore as people read it: what changes, place by place and item by item, and what is left alone.
//!
//! Texts out of the store are quoted, so that what a player wrote cannot play with the terminal.

use super::Restored;
use crate::{
    clock::iso,
    roster::orders::report::{Changed, Held, Moved, Others, Total},
    upkeep::inspect::text::write_attributes,
};
use std::fmt;

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { player, from, to, revision: _, places, totals, others, others_undone } = self;
        writeln!(f, "{player}, from revision {from} back to {to}")?;
        if places.is_empty() {
            writeln!(f, "\nnothing changes")?;
        } else {
            writeln!(f, "\nplaces")?;
        }
        places.iter().try_for_each(|place| write!(f, "{place}"))?;
        if !totals.is_empty() {
            writeln!(f, "\nin all")?;
        }
        for Total { item, before, after } in totals {
            let (sign, difference) =
                if after > before { ('+', after.abs_diff(*before)) } else { ('-', before.abs_diff(*after)) };
            writeln!(f, "  {item} {before} -> {after} ({sign}{difference})")?;
        }
        match (others.is_empty(), others_undone) {
            (true, _) => return Ok(()),
            (false, false) => writeln!(f, "\nleft alone, because others were part of it")?,
            (false, true) => writeln!(f, "\nundone on this side only: others keep what they have")?,
        }
        others.iter().try_for_each(|others| write!(f, "{others}"))
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, before, after } = self;
        for (sign, held) in [('-', before), ('+', after)] {
            match held {
                Some(Held::Stack(stack)) => {
                    write!(f, "  {sign} {place:<12} {} ×{}, {}", stack.item, stack.quantity, stack.instance)?;
                    write_attributes(f, &stack.attributes)?;
                    writeln!(f)?;
                }
                Some(Held::Balance { amount }) => writeln!(f, "  {sign} {place:<12} {amount}")?,
                None => {}
            }
        }
        Ok(())
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, at, reason, with, went, came } = self;
        writeln!(f, "  {revision} {} {reason:?} with {with:?}", iso(*at))?;
        for (word, moved) in [("went", went), ("came", came)] {
            for Moved { item, quantity, instances } in moved {
                write!(f, "      {word} {item} ×{quantity}")?;
                instances.iter().try_for_each(|instance| write!(f, " {instance}"))?;
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
