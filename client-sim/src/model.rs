//! A client's mirror of one inventory, kept from snapshots and changes alone.
//!
//! Pure: no socket, no clock. Called by `checker` and by anybody who wants to prove a server's messages right. Knows
//! no game rule: it only holds what it is told and checks that revisions, places and checksums fit together.

use crate::fault::Fault;
use holdall_protocol::{
    checksum::{Checksum, StackLine, of_balance, of_stack},
    ids::{InstanceId, ItemId, Place, Revision},
    message::{Change, Filled, Snapshot, Stack, Updated},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet, btree_map::Entry},
    fmt,
};

/// How many of each item or currency: of an inventory, or of the difference between two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<ItemId, i128>);

impl Totals {
    /// Adds so many of an item; negative takes away. What comes to nothing is forgotten.
    pub fn add(&mut self, item: &ItemId, units: i128) {
        match self.0.entry(item.clone()) {
            Entry::Vacant(place) if units != 0 => {
                place.insert(units);
            }
            Entry::Vacant(_) => {}
            Entry::Occupied(mut sum) => {
                *sum.get_mut() += units;
                if *sum.get() == 0 {
                    sum.remove();
                }
            }
        }
    }

    /// Adds all of another.
    pub fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|(item, units)| self.add(item, units));
    }

    /// Takes all of another away.
    pub fn take_all(&mut self, other: &Self) {
        other.iter().for_each(|(item, units)| self.add(item, -units));
    }

    /// How many of one item.
    #[must_use]
    pub fn of(&self, item: &ItemId) -> i128 {
        self.0.get(item).copied().unwrap_or(0)
    }

    /// All that are not 0, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&ItemId, i128)> {
        self.0.iter().map(|(item, units)| (item, *units))
    }

    /// Whether all are 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (n, (item, units)) in self.iter().enumerate() {
            write!(f, "{}{item} {units:+}", if n > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// What a place holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// In a bag or equipment slot.
    Stack(Stack),
    /// In a balance.
    Amount(u64),
}

impl Content {
    fn of(filled: &Filled) -> Result<Self, Fault> {
        let bad = |what| Err(Fault::BadPlace { place: filled.place.clone(), what });
        match (&filled.place, &filled.stack, filled.amount) {
            (Place::Bag(_) | Place::Equipment(_), Some(stack), None) if stack.quantity > 0 => {
                Ok(Self::Stack(stack.clone()))
            }
            (Place::Balance(_), None, Some(amount)) if amount > 0 => Ok(Self::Amount(amount)),
            (Place::Bag(_) | Place::Equipment(_), _, _) => bad("no stack of at least one unit"),
            (Place::Balance(_), _, _) => bad("no amount of at least one"),
        }
    }

    fn line(&self, place: &Place, scratch: &mut Vec<u8>) -> u32 {
        match self {
            Self::Stack(stack) => {
                let Stack { instance, item, quantity, acquired_at, attributes } = stack;
                let line =
                    StackLine { instance: *instance, item, quantity: *quantity, acquired_at: *acquired_at, attributes };
                of_stack(place, line, scratch)
            }
            Self::Amount(amount) => of_balance(place, *amount, scratch),
        }
    }
}

/// What one message did to a mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Units won (positive) and lost by item or currency.
    pub effect: Totals,
    /// Units won and lost by stack. A stack that only moved is not in here.
    pub instances: BTreeMap<InstanceId, i128>,
}

impl Step {
    fn count(&mut self, place: &Place, content: &Content, sign: i128) {
        match (content, place) {
            (Content::Stack(stack), _) => {
                let units = sign * i128::from(stack.quantity);
                self.effect.add(&stack.item, units);
                *self.instances.entry(stack.instance).or_default() += units;
            }
            (Content::Amount(amount), Place::Balance(currency)) => {
                self.effect.add(currency, sign * i128::from(*amount));
            }
            (Content::Amount(_), Place::Bag(_) | Place::Equipment(_)) => {}
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Held {
    content: Content,
    line: u32,
}

/// One inventory as its client knows it.
#[derive(Debug, Clone)]
pub struct Mirror {
    revision: Revision,
    checksum: Checksum,
    places: BTreeMap<Place, Held>,
    frozen: BTreeSet<Place>,
    scratch: Vec<u8>,
}

impl Mirror {
    /// The mirror that a snapshot describes.
    ///
    /// # Errors
    /// A place twice or wrongly filled, an instance twice, or another checksum than the one told.
    pub fn of(snapshot: &Snapshot) -> Result<Self, Fault> {
        let mut mirror = Self {
            revision: snapshot.revision,
            checksum: Checksum::default(),
            places: BTreeMap::new(),
            frozen: snapshot.frozen.iter().cloned().collect(),
            scratch: Vec::new(),
        };
        let mut instances = HashSet::new();
        for filled in &snapshot.places {
            let content = Content::of(filled)?;
            if mirror.places.contains_key(&filled.place) {
                return Err(Fault::BadPlace { place: filled.place.clone(), what: "two contents in one snapshot" });
            }
            if let Content::Stack(stack) = &content
                && !instances.insert(stack.instance)
            {
                return Err(Fault::InstanceTwice(stack.instance));
            }
            mirror.put(&filled.place, Some(content));
        }
        mirror.told(snapshot.checksum)?;
        Ok(mirror)
    }

    /// Where the mirror is.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The checksum, kept place by place.
    #[must_use]
    pub const fn checksum(&self) -> u32 {
        self.checksum.get()
    }

    /// What one place holds.
    #[must_use]
    pub fn get(&self, place: &Place) -> Option<&Content> {
        self.places.get(place).map(|held| &held.content)
    }

    /// All places that hold something: the bag by slot, then equipment, then balances.
    pub fn places(&self) -> impl Iterator<Item = (&Place, &Content)> {
        self.places.iter().map(|(place, held)| (place, &held.content))
    }

    /// The bag's stacks from this slot up.
    pub fn bag_from(&self, slot: u16) -> impl Iterator<Item = (u16, &Stack)> {
        self.places.range(Place::Bag(slot)..).map_while(|(place, held)| match (place, &held.content) {
            (Place::Bag(slot), Content::Stack(stack)) => Some((*slot, stack)),
            (Place::Bag(_) | Place::Equipment(_) | Place::Balance(_), _) => None,
        })
    }

    /// Whether the stack in this place no longer fits the catalogue, as far as snapshots and reloads told.
    #[must_use]
    pub fn is_frozen(&self, place: &Place) -> bool {
        self.frozen.contains(place)
    }

    /// Takes note of what fits the catalogue and what does not, after a reload.
    pub fn freeze(&mut self, frozen: &[Place]) {
        self.frozen = frozen.iter().cloned().collect();
    }

    /// How many of everything there are.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut step = Step::default();
        self.places().for_each(|(place, content)| step.count(place, content, 1));
        step.effect
    }

    /// How many of one item the bag and the equipment hold, or what a currency's balance is.
    #[must_use]
    pub fn count(&self, item: &ItemId) -> u64 {
        let units = |(place, content): (&Place, &Content)| match (place, content) {
            (_, Content::Stack(stack)) if stack.item == *item => u64::from(stack.quantity),
            (Place::Balance(currency), Content::Amount(amount)) if currency == item => *amount,
            (_, Content::Stack(_) | Content::Amount(_)) => 0,
        };
        self.places().map(units).sum()
    }

    /// Whether a place holds exactly this.
    #[must_use]
    pub fn holds(&self, filled: &Filled) -> bool {
        Content::of(filled).is_ok_and(|content| self.get(&filled.place) == Some(&content))
    }

    /// Units of all items in bag and equipment.
    #[must_use]
    pub fn stack_units(&self) -> u64 {
        let units = |(_, content): (&Place, &Content)| match content {
            Content::Stack(stack) => u64::from(stack.quantity),
            Content::Amount(_) => 0,
        };
        self.places().map(units).sum()
    }

    /// Applies what one revision changed and checks it against the checksum told.
    ///
    /// # Errors
    /// A gap leaves the mirror as it was; any other fault leaves it broken: take a snapshot.
    pub fn apply(&mut self, revision: Revision, changes: &[Change], checksum: u32) -> Result<Step, Fault> {
        if revision != self.revision.next() {
            return Err(Fault::Gap { have: self.revision, told: revision });
        }
        self.revision = revision;
        let mut step = Step::default();
        for change in changes {
            self.change(change, &mut step)?;
        }
        step.instances.retain(|_, units| *units != 0);
        self.told(checksum)?;
        Ok(step)
    }

    /// Checks that the checksum is the one told.
    ///
    /// # Errors
    /// [`Fault::WrongChecksum`] where it is not.
    pub fn told(&self, checksum: u32) -> Result<(), Fault> {
        let (revision, have) = (self.revision, self.checksum());
        if have == checksum { Ok(()) } else { Err(Fault::WrongChecksum { revision, told: checksum, have }) }
    }

    /// Computes the checksum from scratch and compares it with the one kept place by place; looks for an instance in
    /// two places. Costs as much as the inventory is large.
    ///
    /// # Errors
    /// [`Fault::WrongChecksum`] or [`Fault::InstanceTwice`].
    pub fn verify(&self) -> Result<(), Fault> {
        let (mut whole, mut scratch, mut instances) = (Checksum::default(), Vec::new(), HashSet::new());
        for (place, content) in self.places() {
            whole = whole.with(content.line(place, &mut scratch));
            if let Content::Stack(stack) = content
                && !instances.insert(stack.instance)
            {
                return Err(Fault::InstanceTwice(stack.instance));
            }
        }
        self.told(whole.get())
    }

    /// Checks that a snapshot of the same revision shows exactly this.
    ///
    /// # Errors
    /// [`Fault::MirrorDiffers`] with the first places that differ, or what is wrong with the snapshot itself.
    pub fn same_as(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        self.same(&Self::of(snapshot)?)
    }

    /// Checks that another mirror of the same revision shows exactly this.
    ///
    /// # Errors
    /// [`Fault::MirrorDiffers`] with the first places that differ.
    pub fn same(&self, other: &Self) -> Result<(), Fault> {
        let differs = |what| Err(Fault::MirrorDiffers { revision: other.revision, what });
        if self.revision != other.revision {
            return differs(format!("the mirror is at revision {}", self.revision));
        }
        if self.places == other.places {
            return Ok(());
        }
        let all: BTreeSet<&Place> = self.places.keys().chain(other.places.keys()).collect();
        let mut different = all.into_iter().filter(|place| self.get(place) != other.get(place));
        let shown: Vec<String> = different
            .by_ref()
            .take(3)
            .map(|place| format!("{place}: {:?}, snapshot {:?}", self.get(place), other.get(place)))
            .collect();
        differs(format!("{} and {} more", shown.join("; "), different.count()))
    }

    fn change(&mut self, change: &Change, step: &mut Step) -> Result<(), Fault> {
        match change {
            Change::Add(filled) => self.replace(&filled.place, Some(Content::of(filled)?), step),
            Change::Remove(removed) if self.get(&removed.place).is_none() => {
                return Err(Fault::BadPlace { place: removed.place.clone(), what: "nothing, and was emptied" });
            }
            Change::Remove(removed) => self.replace(&removed.place, None, step),
            Change::Update(updated) => {
                let content = self.updated(updated)?;
                self.replace(&updated.place, Some(content), step);
            }
            Change::Clear(_) => {
                let slots: Vec<u16> = self.bag_from(0).map(|(slot, _)| slot).collect();
                slots.into_iter().for_each(|slot| self.replace(&Place::Bag(slot), None, step));
            }
        }
        Ok(())
    }

    fn updated(&self, updated: &Updated) -> Result<Content, Fault> {
        let Updated { place, quantity, acquired_at, attributes, amount } = updated;
        let bad = |what| Fault::BadPlace { place: place.clone(), what };
        match self.get(place).ok_or_else(|| bad("nothing, and was updated"))? {
            Content::Stack(stack) if amount.is_none() && *quantity != Some(0) => Ok(Content::Stack(Stack {
                quantity: quantity.unwrap_or(stack.quantity),
                acquired_at: acquired_at.unwrap_or(stack.acquired_at),
                attributes: attributes.clone().unwrap_or_else(|| stack.attributes.clone()),
                ..stack.clone()
            })),
            Content::Stack(_) => Err(bad("a stack, and was updated to an amount or to no unit")),
            Content::Amount(_) => match (amount, quantity, acquired_at, attributes) {
                (Some(1..), None, None, None) => Ok(Content::Amount(amount.unwrap_or_default())),
                _ => Err(bad("a balance, and was updated to something else")),
            },
        }
    }

    fn replace(&mut self, place: &Place, content: Option<Content>, step: &mut Step) {
        if let Some(content) = &content {
            step.count(place, content, 1);
        }
        if let Some(before) = self.put(place, content) {
            step.count(place, &before, -1);
        }
    }

    fn put(&mut self, place: &Place, content: Option<Content>) -> Option<Content> {
        let before = match content {
            Some(content) => {
                let line = content.line(place, &mut self.scratch);
                self.checksum = self.checksum.with(line);
                self.places.insert(place.clone(), Held { content, line })
            }
            None => self.places.remove(place),
        };
        before.map(|held| {
            self.checksum = self.checksum.without(held.line);
            held.content
        })
    }
}

/// How many a filled place holds.
pub(crate) fn units(filled: &Filled) -> u64 {
    filled.stack.as_ref().map_or_else(|| filled.amount.unwrap_or(0), |stack| u64::from(stack.quantity))
}
