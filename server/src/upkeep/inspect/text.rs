//! A stored player as people read it.
//!
//! Texts out of the store are quoted, so that what a player wrote cannot play with the terminal.

use super::{Entry, Held, Inspection, Ledger, Parcel, Waiting, What};
use crate::{clock::iso, store::Owner};
use holdall_protocol::attribute::{Attributes, Value};
use std::fmt;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "player    {}", self.player)?;
        writeln!(f, "revision  {}, last request {}, saved {}", self.revision, self.seq, iso(self.saved_at))?;
        match &self.owner {
            Some(owner) => writeln!(f, "owner     {}, by token {:?}", node(owner), owner.as_str())?,
            None => writeln!(f, "owner     nobody")?,
        }
        writeln!(f, "epoch     {}", self.epoch)?;
        writeln!(f, "format    {}, content step {}", self.schema, self.content)?;
        let allowed = |allowed: bool| if allowed { "on" } else { "off" };
        writeln!(f, "settings  gifts {}, invites {}", allowed(self.takes_gifts), allowed(self.takes_invites))?;
        if let Some(until) = self.barred_until {
            writeln!(f, "barred    until {}", iso(until))?;
        }
        for (title, prefix) in [("bag", "b:"), ("equipment", "e:"), ("wallet", "c:"), ("places of no known kind", "")] {
            let known = |held: &&Held| ["b:", "e:", "c:"].iter().any(|kind| held.place.starts_with(kind));
            let of_this = |held: &&Held| if prefix.is_empty() { !known(held) } else { held.place.starts_with(prefix) };
            section(f, title, self.places.iter().filter(of_this))?;
        }
        if !self.inbox.is_empty() {
            writeln!(f, "\ninbox")?;
        }
        self.inbox.iter().try_for_each(|waiting| write!(f, "{waiting}"))?;
        write!(f, "{}", self.ledger)
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.gift)?;
        match &self.what {
            Parcel::Gift { from, sent_at, returned, schema: _, content: _, stacks } => {
                let how = if *returned { "came back from" } else { "from" };
                write!(f, " {how} {from}, since {}:", iso(*sent_at))?;
                stacks.iter().try_for_each(|what| write!(f, "{what}"))?;
            }
            Parcel::Unreadable { unreadable, bytes } => write!(f, " UNREADABLE: {unreadable:?}: {bytes}")?,
        }
        writeln!(f)
    }
}

fn node(owner: &Owner) -> String {
    format!("node {:?}", owner.node())
}

fn section<'h>(f: &mut fmt::Formatter<'_>, title: &str, places: impl Iterator<Item = &'h Held>) -> fmt::Result {
    let mut places = places.peekable();
    if places.peek().is_some() {
        writeln!(f, "\n{title}")?;
    }
    places.try_for_each(|held| write!(f, "{held}"))
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<12}", self.place.escape_debug().to_string())?;
        writeln!(f, "{}", self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stack { instance, item, quantity, acquired_at, attributes } => {
                write!(f, " {item} ×{quantity}, {instance}, acquired {}", iso(*acquired_at))?;
                write_attributes(f, attributes)
            }
            Self::Balance { amount } => write!(f, " {amount}"),
            Self::Unreadable { unreadable, bytes } => write!(f, " UNREADABLE: {unreadable:?}: {bytes}"),
        }
    }
}

pub(in crate::upkeep) fn write_attributes(f: &mut fmt::Formatter<'_>, attributes: &Attributes) -> fmt::Result {
    for (key, value) in attributes.iter() {
        match value {
            Value::Bool(value) => write!(f, ", {key}={value}")?,
            Value::Integer(value) => write!(f, ", {key}={}", value.get())?,
            // Debug, so that 1.0 is not shown as an integer.
            Value::Float(value) => write!(f, ", {key}={:?}", value.get())?,
            Value::String(value) => write!(f, ", {key}={value:?}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, last, unreadable } = self;
        writeln!(f, "\nledger: {entries} entries, the last {}", last.len())?;
        last.iter().try_for_each(|entry| write!(f, "{entry}"))?;
        unreadable.iter().try_for_each(|error| writeln!(f, "  UNREADABLE: {error:?}"))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {} {} {} by {}", self.revision, iso(self.at), shown(&self.reason), shown(&self.actor))?;
        if let Some(seq) = self.seq {
            write!(f, ", request {seq}")?;
        }
        if let Some(partner) = &self.partner {
            write!(f, ", with {}", shown(partner))?;
        }
        if let Some(trade) = self.trade {
            write!(f, ", trade {trade}")?;
        }
        if let Some(order) = &self.order {
            write!(f, ", because {:?}", order.why)?;
        }
        if let Some(gift) = &self.gift {
            write!(f, ", gift {gift}")?;
        }
        if let Some(hold) = self.hold {
            write!(f, ", hold {hold}")?;
        }
        for line in &self.lines {
            write!(f, "; {} {}: {} → {}", line.quantity, line.item, shown(&line.from), shown(&line.to))?;
        }
        if self.lines.is_empty() && !self.places.is_empty() {
            let places: Vec<String> = self.places.iter().map(|place| shown(place)).collect();
            write!(f, "; touched {}", places.join(" "))?;
        }
        writeln!(f)
    }
}

fn shown(text: &str) -> String {
    text.escape_debug().to_string()
}
