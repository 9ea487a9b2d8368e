//! The bag: stacks by slot, found by slot, by instance and by item in the same time whether it holds ten or thousands.
//!
//! Owns the three indexes and keeps them in step. Written by `player` only; knows no rule and no catalogue.

use super::change::Stack;
use hashbrown::HashTable;
use holdall_protocol::ids::{BAG_SLOTS_BOUND, InstanceId, ItemId};
use smallvec::SmallVec;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// In `position`: the slot is empty.
const NOWHERE: u16 = u16::MAX;
/// Slots in one word of `occupied`.
const WORD: u16 = 64;

/// The slots that hold one item, ascending. Never empty while in the index.
type Slots = SmallVec<[u16; 8]>;

/// Stacks by slot. The stacks lie side by side in no order; everything else says where.
#[derive(Debug, Clone, Default)]
pub(super) struct Bag {
    stacks: Vec<Stack>,
    /// By slot: the index into `stacks`, or [`NOWHERE`]. As long as the highest slot ever used asks for.
    position: Vec<u16>,
    /// One bit a slot of `position`, so that free slots and slot order are found a word at a time.
    occupied: Vec<u64>,
    /// Slots, by the instance in them.
    by_instance: HashTable<u16>,
    /// Slots, by the item in them.
    by_item: HashTable<Slots>,
}

impl Bag {
    pub(super) fn len(&self) -> usize {
        self.stacks.len()
    }

    pub(super) fn get(&self, slot: u16) -> Option<&Stack> {
        self.stacks.get(self.index(slot)?)
    }

    /// The slot that holds this instance.
    pub(super) fn slot_of(&self, instance: InstanceId) -> Option<u16> {
        let holds = |slot: &u16| self.get(*slot).is_some_and(|stack| stack.instance == instance);
        self.by_instance.find(hash_instance(instance), holds).copied()
    }

    /// The slots that hold stacks kept under exactly this item id, ascending.
    pub(super) fn slots_of(&self, item: &ItemId) -> &[u16] {
        self.by_item.find(hash_item(item), |slots| self.is_of(slots, item)).map_or(&[], |slots| slots)
    }

    /// All stacks, in no order.
    pub(super) fn stacks(&self) -> &[Stack] {
        &self.stacks
    }

    /// All stacks with their slots, in slot order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Stack)> {
        let words = (0..).step_by(usize::from(WORD)).zip(&self.occupied);
        words.flat_map(|(first, word)| bits(first, *word)).filter_map(|slot| Some((slot, self.get(slot)?)))
    }

    /// The empty slots below `bound`, ascending.
    pub(super) fn free(&self, bound: u16) -> impl Iterator<Item = u16> {
        let known = u16::try_from(self.position.len()).expect("no bag has 65,536 slots");
        let words = (0..).step_by(usize::from(WORD)).zip(&self.occupied);
        let holes = words.flat_map(|(first, word)| bits(first, !*word)).filter(move |slot| *slot < known);
        holes.chain(known..bound).take_while(move |slot| *slot < bound)
    }

    /// Fills an empty slot.
    pub(super) fn put(&mut self, slot: u16, stack: Stack) {
        assert!(slot < BAG_SLOTS_BOUND, "slot {slot} lies beyond any bag");
        assert!(self.get(slot).is_none(), "slot {slot} is filled twice");
        assert!(self.slot_of(stack.instance).is_none(), "{} would stand in two slots", stack.instance);
        self.reach(slot);
        let at = u16::try_from(self.stacks.len()).expect("a bag has fewer stacks than slots");
        grow(&mut self.stacks);
        self.stacks.push(stack);
        self.point(slot, at);
        self.index_in(slot);
    }

    /// Empties a filled slot.
    pub(super) fn clear(&mut self, slot: u16) {
        self.index_out(slot);
        let at = self.index(slot).expect("only a filled slot is cleared");
        // The last one moves into the gap, unless it is what goes: that is not found any more.
        let moves = self.stacks.last().and_then(|last| self.slot_of(last.instance));
        self.stacks.swap_remove(at);
        self.point(slot, NOWHERE);
        if let Some(moved) = moves {
            self.point(moved, u16::try_from(at).expect("a bag has fewer stacks than slots"));
        }
    }

    /// Changes the numbers of a stack that keeps its slot, instance and item.
    pub(super) fn update(&mut self, slot: u16, after: &Stack) {
        let at = self.index(slot).expect("only a filled slot is updated");
        let stack = self.stacks.get_mut(at).expect("positions lie within the stacks");
        stack.quantity = after.quantity;
        stack.acquired_at = after.acquired_at;
        if !Arc::ptr_eq(&stack.nature, &after.nature) {
            stack.nature = after.nature.clone();
        }
    }

    /// Gives back what was reserved for stacks that never came.
    pub(super) fn shrink(&mut self) {
        self.stacks.shrink_to_fit();
        self.position.shrink_to_fit();
        self.occupied.shrink_to_fit();
    }

    fn index(&self, slot: u16) -> Option<usize> {
        let at = *self.position.get(usize::from(slot))?;
        (at != NOWHERE).then_some(usize::from(at))
    }

    fn is_of(&self, slots: &Slots, item: &ItemId) -> bool {
        slots.first().and_then(|slot| self.get(*slot)).is_some_and(|stack| stack.item == *item)
    }

    /// Makes `position` and `occupied` long enough for a slot.
    fn reach(&mut self, slot: u16) {
        let needed = usize::from(slot).saturating_add(1);
        if self.position.len() < needed {
            self.position.resize(needed, NOWHERE);
            self.occupied.resize(needed.div_ceil(usize::from(WORD)), 0);
        }
    }

    fn point(&mut self, slot: u16, at: u16) {
        *self.position.get_mut(usize::from(slot)).expect("the slot was reached") = at;
        let word = self.occupied.get_mut(usize::from(slot / WORD)).expect("the slot was reached");
        let bit = 1_u64.rotate_left(u32::from(slot % WORD));
        if at == NOWHERE { *word &= !bit } else { *word |= bit }
    }

    fn index_in(&mut self, slot: u16) {
        let Self { stacks, position, by_instance, by_item, .. } = self;
        let at = |slot: u16| {
            let at = position.get(usize::from(slot)).expect("an indexed slot was reached");
            stacks.get(usize::from(*at)).expect("an indexed slot is filled")
        };
        let stack = at(slot);
        by_instance.insert_unique(hash_instance(stack.instance), slot, |slot| hash_instance(at(*slot).instance));

        let first = |slots: &Slots| at(*slots.first().expect("no item is indexed without a slot"));
        let hash = hash_item(&stack.item);
        if let Some(slots) = by_item.find_mut(hash, |slots| first(slots).item == stack.item) {
            let rank = slots.binary_search(&slot).expect_err("a slot is indexed once");
            slots.insert(rank, slot);
        } else {
            let mut slots = Slots::new();
            slots.push(slot);
            by_item.insert_unique(hash, slots, |slots| hash_item(&first(slots).item));
        }
    }

    fn index_out(&mut self, slot: u16) {
        let Self { stacks, position, by_instance, by_item, .. } = self;
        let at = |slot: u16| {
            let at = position.get(usize::from(slot)).expect("an indexed slot was reached");
            stacks.get(usize::from(*at)).expect("an indexed slot is filled")
        };
        let stack = at(slot);
        let found = by_instance.find_entry(hash_instance(stack.instance), |other| *other == slot);
        found.expect("every instance is indexed").remove();

        let same = |slots: &Slots| slots.first().is_some_and(|first| at(*first).item == stack.item);
        let mut entry = by_item.find_entry(hash_item(&stack.item), same).expect("every item is indexed");
        let slots = entry.get_mut();
        let rank = slots.binary_search(&slot).expect("every slot is indexed under its item");
        slots.remove(rank);
        if slots.is_empty() {
            entry.remove();
        }
    }

    /// Whether all that is kept twice agrees.
    ///
    /// # Errors
    /// What does not, in words.
    pub(super) fn invariants(&self) -> Result<(), String> {
        let count = self.stacks.len();
        let bits: u32 = self.occupied.iter().map(|word| word.count_ones()).sum();
        let filled = self.position.iter().filter(|at| **at != NOWHERE).count();
        let indexed: usize = self.by_item.iter().map(|slots| slots.len()).sum();
        let sizes = [usize::try_from(bits).unwrap_or(usize::MAX), filled, self.by_instance.len(), indexed];
        if sizes.iter().any(|size| *size != count) {
            return Err(format!("{count} stacks, but {sizes:?} bits, positions, instances, item entries"));
        }
        for (at, stack) in self.stacks.iter().enumerate() {
            let Some(slot) = self.slot_of(stack.instance) else {
                return Err(format!("{} is not found by its instance", stack.instance));
            };
            if self.index(slot) != Some(at) {
                return Err(format!("{} is found in slot {slot}, which holds another stack", stack.instance));
            }
            if self.slots_of(&stack.item).binary_search(&slot).is_err() {
                return Err(format!("{} is not found in slot {slot} by its item", stack.instance));
            }
        }
        Ok(())
    }
}

/// The numbers of the set bits, counted from `first`.
fn bits(first: usize, mut word: u64) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let bit = usize::try_from(word.trailing_zeros()).ok().filter(|bit| *bit < usize::from(WORD))?;
        word &= word.wrapping_sub(1);
        u16::try_from(first.saturating_add(bit)).ok()
    })
}

/// Room for one more, a quarter at a time: doubling would leave half of many bags empty.
fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(4));
    }
}

fn hash_instance(instance: InstanceId) -> u64 {
    // The low half of a UUIDv7 is random but for its first two bits; read so that they end up at the bottom.
    let [_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h] = *instance.uuid().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn hash_item(item: &ItemId) -> u64 {
    xxh3_64(item.as_str().as_bytes())
}
