//! What is dirty: per player the changes since the last commit, tied into groups by records of two players.
//!
//! A group is written whole. Pure bookkeeping under the journal's one lock: no store, no clock of its own, no IO.

use crate::{
    engine::change::{Change, Content},
    schema::Form,
    store::{
        Batch, BatchId, InboxChange, KeptAnswer, Opening, Origin, Owner, PlayerWrite, Preferences, stock::Purchase,
    },
};
use bytes::{Bytes, BytesMut};
use hashbrown::{HashMap, hash_map::Entry};
use holdall_protocol::ids::{Place, PlayerId, Revision, Seq};
use smallvec::{SmallVec, smallvec};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Players in one batch; a larger group is a batch of its own.
pub const BATCH_PLAYERS_MAX: usize = 128;
/// Bytes in one batch, likewise.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;

/// One player's half of a record.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// Who.
    pub player: &'a PlayerId,
    /// Under which token the player is loaded.
    pub owner: &'a Owner,
    /// What that load found.
    pub origin: &'a Origin,
    /// The revision that the record makes.
    pub revision: Revision,
    /// The last request number spent.
    pub seq: Seq,
    /// How the player's record is written.
    pub form: Form,
    /// The content step the player is at.
    pub content: u32,
    /// Whether the record before this one may have said otherwise of the two.
    pub restamps: bool,
    /// What changed.
    pub changes: &'a [Change],
    /// The ledger entry's bytes.
    pub entry: &'a [u8],
    /// What it does beyond the player's places.
    pub effects: Option<&'a SideEffects>,
}

/// What a record does beyond its player's places, in the same write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SideEffects {
    /// What it puts into inboxes and takes out of the player's own.
    pub inbox: Vec<InboxChange>,
    /// What the player has set by it.
    pub preferences: Option<Preferences>,
    /// What is answered to operators' orders that it carries out.
    pub answers: Vec<KeptAnswer>,
    /// What it pays for in the shop.
    pub purchases: Vec<Purchase>,
}

impl SideEffects {
    /// Adds what a later record does.
    fn add(&mut self, later: &Self) {
        let Self { inbox, preferences, answers, purchases } = later;
        self.inbox.extend_from_slice(inbox);
        self.preferences = preferences.or(self.preferences);
        self.answers.extend_from_slice(answers);
        self.purchases.extend_from_slice(purchases);
    }

    /// What it counts for against the bounds, roughly.
    fn bytes(&self) -> usize {
        let gifts = self.inbox.iter().map(|step| step.content.as_ref().map_or(0, Bytes::len));
        let contents = gifts.chain(self.answers.iter().map(|answer| answer.bytes.len()));
        let count = self.inbox.len().saturating_add(self.answers.len()).saturating_add(self.purchases.len());
        contents.fold(count.saturating_mul(IMAGE_BYTES), usize::saturating_add)
    }
}

/// When a record must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// With the next batch.
    AtOnce,
    /// This long after its player became dirty.
    Within(Duration),
}

/// One player's uncommitted work.
#[derive(Debug)]
struct Dirty {
    owner: Owner,
    base: Revision,
    follows: Option<Owner>,
    newest: Revision,
    seq: Seq,
    form: Form,
    content: u32,
    restamps: bool,
    /// When it became dirty.
    since: Instant,
    due: Instant,
    images: Images,
    entries: Vec<u8>,
    effects: Option<Box<SideEffects>>,
    opening: Option<Box<Opening>>,
    release: bool,
    group: Option<u64>,
    bytes: usize,
}

/// The newest content of every place that was touched.
#[derive(Debug, Default)]
struct Images {
    list: Contents,
    /// Place → index, once the list is too long to search.
    index: Option<HashMap<Place, usize>>,
}

impl Images {
    const SEARCHED: usize = 16;

    fn set(&mut self, place: &Place, content: Option<&Content>) {
        let at = match &self.index {
            Some(index) => index.get(place).copied(),
            None => self.list.iter().position(|(at, _)| at == place),
        };
        if let Some((_, image)) = at.and_then(|at| self.list.get_mut(at)) {
            *image = content.cloned();
            return;
        }
        if let Some(index) = &mut self.index {
            index.insert(place.clone(), self.list.len());
        }
        self.list.push((place.clone(), content.cloned()));
        if self.index.is_none() && self.list.len() > Self::SEARCHED {
            self.index = Some(self.list.iter().enumerate().map(|(at, (place, _))| (place.clone(), at)).collect());
        }
    }
}

/// Players that are written together; mostly it is one.
pub type Group = SmallVec<[PlayerId; 1]>;

/// A batch on its way, and which of its players belong together.
#[derive(Debug, Clone)]
pub struct Flight {
    /// The bytes that are sent.
    pub batch: Arc<Batch>,
    /// Its players, group by group.
    pub groups: Arc<Vec<Group>>,
}

/// What touched places hold now.
type Contents = Vec<(Place, Option<Content>)>;

/// The memory of players that were written, for the next ones: what becomes dirty at every moment is not allocated anew.
#[derive(Debug, Default)]
struct Spare(Vec<(Contents, Vec<u8>)>);

impl Spare {
    /// Larger ones are given back.
    const BYTES_MAX: usize = 4_096;

    fn keep(&mut self, contents: Contents, entries: Vec<u8>) {
        let large = contents.capacity() > Images::SEARCHED || entries.capacity() > Self::BYTES_MAX;
        if !large && self.0.len() < BATCH_PLAYERS_MAX {
            self.0.push((contents, entries));
        }
    }
}

/// One block for all bytes of a batch: it is let go of as a whole, once nobody has to be told again.
struct Memory {
    block: BytesMut,
    value: Vec<u8>,
}

impl Memory {
    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }

    fn value(&mut self, form: Form, content: &Content) -> Bytes {
        self.value.clear();
        form.write(content, &mut self.value);
        self.block.extend_from_slice(&self.value);
        self.block.split().freeze()
    }
}

/// The pending set.
#[derive(Debug, Default)]
pub struct Pending {
    players: HashMap<PlayerId, Dirty>,
    groups: HashMap<u64, Group>,
    next_group: u64,
    /// Players due at once, oldest first; entries of players who have left stay until they are met.
    urgent: VecDeque<PlayerId>,
    /// Players due later, by first-dirty time; likewise.
    later: VecDeque<(Instant, PlayerId)>,
    spare: Spare,
    /// Written under the journal's lock, and read without it.
    bytes: Arc<AtomicUsize>,
    /// The one batch that is on its way.
    pub flight: Option<Flight>,
    /// When the first of its players became dirty.
    flight_since: Option<Instant>,
}

impl Pending {
    /// Bytes that wait, those on their way not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// The same, for whoever does not hold the journal's lock.
    #[must_use]
    pub const fn counter(&self) -> &Arc<AtomicUsize> {
        &self.bytes
    }

    fn grow(&self, bytes: usize) {
        self.bytes.store(self.bytes().saturating_add(bytes), Relaxed);
    }

    /// When the oldest of what waits or is on its way became dirty.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        let flying = self.flight_since.filter(|_| self.flight.is_some());
        self.players.values().map(|dirty| dirty.since).chain(flying).min()
    }

    /// Whether nothing waits and nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.players.is_empty() && self.flight.is_none()
    }

    /// Whether anything of this player is not yet known to be durable.
    #[must_use]
    pub fn holds(&self, player: &PlayerId) -> bool {
        self.players.contains_key(player)
            || self
                .flight
                .as_ref()
                .is_some_and(|flight| flight.batch.players.iter().any(|write| write.player == *player))
    }

    /// Adds a record of one player or two. Returns whether something became due at once.
    pub fn push(&mut self, sides: &[Side<'_>], due: Due, now: Instant) -> bool {
        for side in sides {
            self.add(side, due, now);
        }
        if let [one, other] = sides {
            self.tie(one.player, other.player);
        }
        due == Due::AtOnce
    }

    fn add(&mut self, side: &Side<'_>, due: Due, now: Instant) {
        let dirty = match self.players.entry(side.player.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let due = match due {
                    Due::AtOnce => {
                        self.urgent.push_back(side.player.clone());
                        now
                    }
                    Due::Within(time) => {
                        let at = now.checked_add(time).unwrap_or(now);
                        self.later.push_back((at, side.player.clone()));
                        at
                    }
                };
                let base = Revision::new(side.revision.get().saturating_sub(1));
                new.insert(Dirty::new(side, base, (now, due), &mut self.spare))
            }
        };
        assert_eq!(dirty.newest.next(), side.revision, "records of one player come in order");
        assert_eq!(dirty.owner, *side.owner, "one load of a player at a time");
        if due == Due::AtOnce && dirty.due > now {
            dirty.due = now;
            self.urgent.push_back(side.player.clone());
        }
        dirty.newest = side.revision;
        dirty.seq = side.seq;
        dirty.form = side.form;
        dirty.content = side.content;
        dirty.restamps |= side.restamps;
        let mut grown = side.entry.len();
        for change in side.changes {
            dirty.images.set(&change.place, change.after.as_ref());
            grown = grown.saturating_add(IMAGE_BYTES);
        }
        if let Some(effects) = side.effects {
            dirty.effects.get_or_insert_default().add(effects);
            grown = grown.saturating_add(effects.bytes());
        }
        dirty.entries.extend_from_slice(side.entry);
        dirty.bytes = dirty.bytes.saturating_add(grown);
        self.grow(grown);
    }

    /// Gives a player up with its next write, or with a write of its own; `last` brings nothing new.
    pub fn release(&mut self, last: &Side<'_>, now: Instant) {
        let dirty = self.following(last, now);
        dirty.seq = last.seq;
        dirty.release = true;
        self.make_urgent(last.player, now);
    }

    /// Lets a ledger begin later, likewise.
    pub fn open(&mut self, last: &Side<'_>, opening: Opening, now: Instant) {
        let bytes = opening.content.len();
        let dirty = self.following(last, now);
        dirty.opening = Some(Box::new(opening));
        dirty.bytes = dirty.bytes.saturating_add(bytes);
        self.grow(bytes);
        self.make_urgent(last.player, now);
    }

    fn following(&mut self, last: &Side<'_>, now: Instant) -> &mut Dirty {
        let dirty = self.players.entry(last.player.clone()).or_insert_with(|| {
            self.urgent.push_back(last.player.clone());
            Dirty::new(last, last.revision, (now, now), &mut self.spare)
        });
        assert_eq!(dirty.newest, last.revision, "what brings nothing new follows the last record");
        dirty
    }

    /// Makes everything due.
    pub fn make_all_urgent(&mut self, now: Instant) {
        let waiting: Vec<PlayerId> = self.later.iter().map(|(_, player)| player.clone()).collect();
        for player in waiting {
            self.make_urgent(&player, now);
        }
    }

    /// Makes what waits of a player due.
    pub fn make_urgent(&mut self, player: &PlayerId, now: Instant) {
        if let Some(dirty) = self.players.get_mut(player)
            && dirty.due > now
        {
            dirty.due = now;
            self.urgent.push_back(player.clone());
        }
    }

    /// Two players are written together from here on, with all that each is tied to.
    fn tie(&mut self, one: &PlayerId, other: &PlayerId) {
        let group_of = |pending: &Self, player: &PlayerId| pending.players.get(player).and_then(|dirty| dirty.group);
        let (kept, added) = match (group_of(self, one), group_of(self, other)) {
            (Some(a), Some(b)) if a == b => return,
            (Some(a), Some(b)) => (a, self.groups.remove(&b).unwrap_or_default()),
            (Some(a), None) => (a, smallvec![other.clone()]),
            (None, Some(b)) => (b, smallvec![one.clone()]),
            (None, None) => {
                self.next_group = self.next_group.wrapping_add(1);
                (self.next_group, smallvec![one.clone(), other.clone()])
            }
        };
        for player in &added {
            if let Some(dirty) = self.players.get_mut(player) {
                dirty.group = Some(kept);
            }
        }
        self.groups.entry(kept).or_default().extend(added);
    }

    /// When the next player is due; `None` when nobody waits.
    #[must_use]
    pub fn next_due(&mut self, now: Instant) -> Option<Instant> {
        if self.urgent.iter().any(|player| self.players.contains_key(player)) {
            return Some(now);
        }
        self.urgent.clear();
        while let Some((due, player)) = self.later.front() {
            if self.players.get(player).is_some_and(|dirty| dirty.due == *due) {
                return Some(*due);
            }
            self.later.pop_front();
        }
        None
    }

    /// Takes whole groups that are due, oldest first, and puts them on their way. `None` when nothing is due or a batch is
    /// on its way already.
    pub fn take(&mut self, now: Instant, id: BatchId, saved_at: u64) -> Option<Flight> {
        if self.flight.is_some() {
            return None;
        }
        let (mut taken, mut groups, mut bytes, mut since) = (Vec::new(), Vec::new(), 0_usize, now);
        while let Some(first) = self.pop_due(now) {
            let members = self.group_of(&first);
            let size =
                members.iter().filter_map(|player| self.players.get(player)).map(|dirty| dirty.bytes).sum::<usize>();
            let players = taken.len().saturating_add(members.len());
            if !taken.is_empty() && (players > BATCH_PLAYERS_MAX || bytes.saturating_add(size) > BATCH_BYTES_MAX) {
                self.urgent.push_front(first);
                break;
            }
            bytes = bytes.saturating_add(size);
            for player in &members {
                let dirty = self.remove(player).expect("the members of a group are dirty");
                since = since.min(dirty.since);
                taken.push((player.clone(), dirty));
            }
            groups.push(members);
        }
        if taken.is_empty() {
            return None;
        }
        let room = taken.iter().map(|(_, dirty)| dirty.room()).sum();
        let mut memory = Memory { block: BytesMut::with_capacity(room), value: Vec::with_capacity(VALUE_BYTES) };
        let spare = &mut self.spare;
        let writes = taken.into_iter().map(|(player, dirty)| dirty.into_write(player, saved_at, &mut memory, spare));
        let batch = Batch { id, players: writes.collect() };
        let flight = Flight { batch: Arc::new(batch), groups: Arc::new(groups) };
        self.flight_since = Some(since);
        self.flight = Some(flight.clone());
        Some(flight)
    }

    fn pop_due(&mut self, now: Instant) -> Option<PlayerId> {
        while let Some(player) = self.urgent.pop_front() {
            if self.players.get(&player).is_some_and(|dirty| dirty.due <= now) {
                return Some(player);
            }
        }
        while let Some((due, player)) = self.later.pop_front() {
            if due > now {
                self.later.push_front((due, player));
                return None;
            }
            if self.players.get(&player).is_some_and(|dirty| dirty.due == due) {
                return Some(player);
            }
        }
        None
    }

    /// A player and all that are written with it.
    fn group_of(&self, player: &PlayerId) -> Group {
        let group = self.players.get(player).and_then(|dirty| dirty.group);
        group.and_then(|group| self.groups.get(&group)).cloned().unwrap_or_else(|| smallvec![player.clone()])
    }

    fn remove(&mut self, player: &PlayerId) -> Option<Dirty> {
        let dirty = self.players.remove(player)?;
        self.bytes.store(self.bytes().saturating_sub(dirty.bytes), Relaxed);
        if let Some(group) = dirty.group {
            self.groups.remove(&group);
        }
        Some(dirty)
    }

    /// The players that fall with these: everyone tied to one of them by a group that waits or is on its way, and so on
    /// until nobody is added. In a fixed order.
    #[must_use]
    pub fn closure(&self, seeds: &[PlayerId]) -> BTreeSet<PlayerId> {
        let mut all: BTreeSet<PlayerId> = seeds.iter().cloned().collect();
        let mut open: Vec<PlayerId> = all.iter().cloned().collect();
        while let Some(player) = open.pop() {
            let waiting = self.group_of(&player);
            let flying = self.flight.iter().flat_map(|flight| &*flight.groups).filter(|group| group.contains(&player));
            for tied in waiting.iter().chain(flying.flatten()) {
                if all.insert(tied.clone()) {
                    open.push(tied.clone());
                }
            }
        }
        all
    }

    /// Drops these players unsaved. What is left of the batch on its way becomes a new batch, which is returned.
    pub fn drop_players(&mut self, players: &BTreeSet<PlayerId>, id: BatchId) -> Option<Flight> {
        for player in players {
            self.remove(player);
        }
        if self
            .flight
            .as_ref()
            .is_some_and(|flight| flight.batch.players.iter().all(|write| !players.contains(&write.player)))
        {
            // The same bytes under the same id: what became of them may not be known.
            return self.flight.clone();
        }
        let flight = self.flight.take()?;
        let writes: Vec<PlayerWrite> =
            flight.batch.players.iter().filter(|write| !players.contains(&write.player)).cloned().collect();
        if writes.is_empty() {
            return None;
        }
        let groups = flight.groups.iter().filter(|group| !group.iter().any(|player| players.contains(player)));
        let groups = Arc::new(groups.cloned().collect());
        self.flight = Some(Flight { batch: Arc::new(Batch { id, players: writes }), groups });
        self.flight.clone()
    }
}

/// What one place's image counts for against the bounds, roughly.
const IMAGE_BYTES: usize = 128;

/// What a place's value comes to, mostly.
const VALUE_BYTES: usize = 64;

impl Dirty {
    /// Nothing yet, on top of `base`.
    fn new(side: &Side<'_>, base: Revision, (since, due): (Instant, Instant), spare: &mut Spare) -> Self {
        let (list, entries) = spare.0.pop().unwrap_or_default();
        Self {
            owner: side.owner.clone(),
            base,
            follows: side.origin.writer_of(base, side.owner).cloned(),
            newest: base,
            seq: side.seq,
            form: side.form,
            content: side.content,
            restamps: side.restamps,
            since,
            due,
            images: Images { list, index: None },
            entries,
            effects: None,
            opening: None,
            release: false,
            group: None,
            bytes: 0,
        }
    }

    /// Bytes that its places and entries come to, roughly.
    fn room(&self) -> usize {
        self.images.list.len().saturating_mul(VALUE_BYTES).saturating_add(self.entries.len())
    }

    /// What is to be stored.
    fn into_write(mut self, player: PlayerId, saved_at: u64, memory: &mut Memory, spare: &mut Spare) -> PlayerWrite {
        let form = self.form;
        let SideEffects { inbox, preferences, answers, purchases } =
            self.effects.map(|effects| *effects).unwrap_or_default();
        let mut places = Vec::with_capacity(self.images.list.len());
        for (place, content) in self.images.list.drain(..) {
            let value = content.map(|content| memory.value(form, &content));
            places.push((place.text().as_str().into(), value));
        }
        let entries = memory.copy(&self.entries);
        self.entries.clear();
        spare.keep(self.images.list, self.entries);
        PlayerWrite {
            player,
            owner: self.owner,
            base: self.base,
            revision: self.newest,
            seq: self.seq,
            schema: form.stamp().format,
            content: self.content,
            saved_at,
            places,
            entries,
            release: self.release,
            readable_by: form.stamp().readable_by,
            inbox,
            preferences,
            answers,
            opening: self.opening.map(|opening| *opening),
            follows: self.follows,
            purchases,
            restamps: self.restamps,
        }
    }
}
