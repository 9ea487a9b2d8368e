//! A whole store as it was at one moment, to be changed where nobody else would, and put into another store.

use crate::inspect::close;
use bytes::Bytes;
use holdall_protocol::ids::{InstanceId, ItemId, PlayerId, Revision};
use holdall_server::{
    engine::change::{Content, Stack},
    ledger::past::{Book, Now, Opening, Past},
    schema::OURS,
    store::{Found, Node, Store, Whole, embedded::Embedded},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use uuid::Uuid;

/// Everybody.
#[derive(Clone)]
pub(crate) struct Picture(BTreeMap<PlayerId, Whole>);

type Line = (String, String, ItemId, u64, Vec<InstanceId>);

/// An entry as it is stored, to be written again.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Raw(
    u8,
    pub(crate) u64,
    u64,
    String,
    pub(crate) String,
    u64,
    u64,
    pub(crate) Option<(String, u64)>,
    u32,
    Vec<(String, Option<Bytes>)>,
    pub(crate) Vec<Line>,
    #[serde(default)] pub(crate) Option<Uuid>,
    #[serde(default)] Option<Uuid>,
    #[serde(default)] Option<(String, String)>,
    #[serde(default)] Option<Uuid>,
);

pub(crate) fn id(text: &str) -> PlayerId {
    PlayerId::new(text).expect("a player id")
}

pub(crate) fn open(data: &Path) -> Embedded {
    let node = Node { id: "test".to_owned(), boot: 1 };
    Embedded::open(&data.join("store.redb"), 1 << 20, node).expect("nobody else has the file")
}

impl Picture {
    /// What lies in a data directory without a server.
    pub(crate) async fn of(data: &Path) -> Self {
        let store = open(data);
        let picture = Self::taken(&store).await;
        close(store, data).await;
        picture
    }

    /// What a store holds now.
    async fn taken(store: &dyn Store) -> Self {
        let page = store.players(None).await.expect("the store answers");
        assert_eq!(page.next, None, "a small store");
        let found = store.together(page.items.clone()).await.expect("the store answers");
        let whole = |found: Found| found.expect("it can be read").expect("it is there");
        Self(page.items.into_iter().zip(found.into_iter().map(whole)).collect())
    }

    /// Into a store that has none of them.
    pub(crate) async fn put_into(&self, store: &dyn Store) {
        for (player, Whole { stored, ledger }) in &self.0 {
            store.import(player.clone(), stored.clone(), ledger.clone()).await.expect("it is taken");
        }
    }

    /// Into a new data directory.
    pub(crate) async fn put_into_new(&self, data: &Path) {
        std::fs::create_dir_all(data).expect("a directory");
        std::fs::write(data.join("node"), "0123456789abcdef\n").expect("a file");
        let store = open(data);
        self.put_into(&store).await;
        close(store, data).await;
    }

    pub(crate) fn found(&self) -> BTreeMap<PlayerId, Found> {
        self.0.iter().map(|(player, whole)| (player.clone(), Ok(Some(whole.clone())))).collect()
    }

    pub(crate) fn of_player(&mut self, player: &str) -> &mut Whole {
        self.0.get_mut(&id(player)).expect("there is such a player")
    }

    /// Entries of a player, one an item, so that each can be changed alone.
    pub(crate) fn entries(&self, player: &str) -> Vec<Raw> {
        let mut all = Vec::new();
        for (_, bytes) in self.0[&id(player)].ledger.iter().filter(|(_, bytes)| !Opening::is(bytes)) {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let mut reader = rmp_serde::Deserializer::new(rest);
                all.push(Raw::deserialize(&mut reader).expect("an entry"));
                rest = reader.into_inner();
            }
        }
        all
    }

    /// Changes a player's entries.
    pub(crate) fn edit(&mut self, player: &str, edit: impl FnOnce(&mut Vec<Raw>)) {
        let mut entries = self.entries(player);
        edit(&mut entries);
        // What is of one revision lies in one item, as a store in a file must have it.
        let mut items = BTreeMap::<u64, Vec<u8>>::new();
        for entry in entries {
            let bytes = rmp_serde::to_vec(&entry).expect("it serialises into memory");
            items.entry(entry.1).or_default().extend(bytes);
        }
        let items = items.into_iter().map(|(revision, bytes)| (Revision::new(revision), Bytes::from(bytes)));
        self.of_player(player).ledger = items.collect();
    }

    /// Lets an opening stand for a player's entries up to a revision.
    pub(crate) fn open(&mut self, player: &str, revision: u64) {
        let entries = self.entries(player);
        let at = entries.iter().find(|entry| entry.1 == revision).expect("there is such an entry").2;
        let whole = self.of_player(player);
        let now = Now { revision: whole.stored.revision, stamp: OURS.form().stamp(), places: &whole.stored.places };
        let Book { opening, pages, .. } = Book::read(&OURS, &whole.ledger);
        let past = Past::of(&OURS, now, opening, pages).expect("it can be read");
        let revision = Revision::new(revision);
        let things = past.at(revision).expect("it can be read").expect("it is there");
        self.edit(player, |entries| entries.retain(|entry| entry.1 > revision.get()));
        self.of_player(player).ledger.insert(0, (revision, Bytes::new()));
        self.reopen(player, &Opening { revision, at, things });
    }

    /// Puts another opening in the place of the one that a player's ledger begins with.
    pub(crate) fn reopen(&mut self, player: &str, opening: &Opening) {
        let whole = self.of_player(player);
        whole.ledger[0] = (opening.revision, opening.write(OURS.form()));
        whole.stored.opened = opening.revision;
    }

    /// What a player's ledger begins with.
    pub(crate) fn opening(&self, player: &str) -> Opening {
        Opening::read(&OURS, &self.0[&id(player)].ledger[0].1).expect("an opening")
    }

    /// The revision of a player's last entry with this reason.
    pub(crate) fn last(&self, player: &str, reason: &str) -> u64 {
        let entries = self.entries(player);
        entries.iter().rev().find(|entry| entry.4 == reason).unwrap_or_else(|| panic!("{player} has no {reason}")).1
    }

    /// Where a player's first stack of an item is, and the stack.
    pub(crate) fn stack(&self, player: &str, item: &str) -> (String, Stack) {
        let stored = &self.0[&id(player)].stored;
        let stacks = stored.places.iter().filter_map(|(place, value)| {
            match OURS.read(OURS.form().stamp(), place, value).expect("it can be read").1 {
                Content::Stack(stack) if stack.item.as_str() == item => Some((place.clone(), stack)),
                _ => None,
            }
        });
        stacks.into_iter().next().unwrap_or_else(|| panic!("{player} has no {item}"))
    }

    /// Puts something where something else was, or nothing.
    pub(crate) fn place(&mut self, player: &str, place: &str, content: &Content) {
        let places = &mut self.of_player(player).stored.places;
        places.retain(|(other, _)| other != place);
        places.push((place.to_owned(), OURS.to_bytes(content)));
        places.sort();
    }
}
