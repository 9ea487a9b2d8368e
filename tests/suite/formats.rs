//! Record formats over several versions: the product's first, and three more that only exist here, each build of them
//! running the product's own loading, recording and storing.

mod builds;

use crate::conformance::{acquire, batch, id, node, placing, write};
use builds::{Build, FOURTH, SECOND, THIRD, attribute, flag, sword, text};
use bytes::Bytes;
use holdall_protocol::ids::{ItemId, Place, PlayerId, Revision};
use holdall_server::{
    engine::{action::Action, change::Content},
    ledger::{
        codec::{self, Page},
        past::{Lost, Now, Opening, Past},
    },
    roster::LoadError,
    schema::{Chain, OURS, SchemaError, Stamp},
    store::{
        Life, Outcome, PlayerWrite, Store as _,
        memory::{Fault, Row, Shelf},
    },
    upkeep::migrate::{Migrated, Mode, migrate},
};
use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

const FIRST: &Chain = &OURS;

/// A player as a build of `chain` stores it, released.
async fn stored(shelf: &Shelf, player: &str, chain: &Chain, places: &[(&str, Content)]) {
    let store = shelf.open(node());
    let owner = acquire(&store, player).await.owner;
    let places = places.iter().map(|(place, content)| ((*place).into(), Some(chain.to_bytes(content))));
    let write = PlayerWrite {
        schema: chain.number,
        readable_by: chain.readable_by,
        content: 0,
        places: places.collect(),
        release: true,
        ..write(player, &owner, 0, 1)
    };
    assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
}

fn row(shelf: &Shelf, player: &str) -> Row {
    shelf.rows().remove(&id(player)).expect("a row")
}

/// What lies there, but for who may write it.
fn at_rest(shelf: &Shelf, player: &str) -> Row {
    Row { owner: None, epoch: 0, ..row(shelf, player) }
}

fn pages(row: &Row) -> Vec<Page> {
    row.ledger.iter().flat_map(|(_, bytes)| codec::read(bytes).expect("our own pages")).collect()
}

/// All that a build reads of a row.
fn read(chain: &Chain, row: &Row) -> Vec<(Place, Content)> {
    let stamp = Stamp::stored(row.schema, row.readable_by);
    row.places.iter().map(|(place, value)| chain.read(stamp, place, value).expect("it can be read")).collect()
}

fn gold(amount: u64) -> Content {
    Content::Amount(amount)
}

/// Three places of the first format: things of every kind.
fn belongings() -> Vec<(&'static str, Content)> {
    vec![("b:0", sword(1, 1)), ("b:4", sword(2, 9)), ("c:gold", gold(250))]
}

fn no_faults(_: &'static str) -> Fault {
    Fault::None
}

#[tokio::test]
async fn an_older_record_is_written_again_whole_in_one_revision() {
    for chain in [&SECOND, &THIRD, &FOURTH] {
        let shelf = Shelf::default();
        stored(&shelf, "p", FIRST, &belongings()).await;
        let before = at_rest(&shelf, "p");
        Build::start(&shelf, 1, chain).visit("p").await;
        let after = row(&shelf, "p");
        assert_eq!((after.schema, after.readable_by), (chain.number, chain.readable_by));
        assert_eq!((after.revision.get(), after.places.len()), (2, before.places.len()));
        for (place, old) in &before.places {
            let (_, brought) = chain.read(Stamp::stored(1, 1), place, old).expect("the steps take it");
            assert_eq!(chain.to_bytes(&brought), after.places[place], "{place} is written in the newest format");
        }
        let [page] = pages(&after).try_into().expect("one page");
        assert_eq!((page.reason.as_str(), page.actor.as_str(), page.schema), ("upgrade", "server", chain.number));
        assert!(page.before.is_empty() && page.lines.is_empty(), "its things are the same: {page:?}");
        Build::start(&shelf, 2, chain).visit("p").await;
        assert_eq!(at_rest(&shelf, "p").ledger, after.ledger, "the second load has nothing to do");
        assert_eq!(row(&shelf, "p").places, after.places);
    }
}

#[tokio::test]
async fn a_crash_before_the_commit_leaves_the_old_record_and_one_behind_it_the_new() {
    for (fault, done) in [(Fault::DropRequest, false), (Fault::DropAnswer, true)] {
        let shelf = Shelf::default();
        stored(&shelf, "p", FIRST, &belongings()).await;
        let before = at_rest(&shelf, "p");
        shelf.set_faults(Box::new(move |verb| if verb == "commit" { fault } else { Fault::None }));
        let build = Build::start(&shelf, 1, &FOURTH);
        build.roster.load(&id("p")).await.expect("it loads");
        // The batch is sent again and again, and the answer never comes.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        build.kill(&shelf);
        assert_eq!(at_rest(&shelf, "p") == before, !done);
        shelf.set_faults(Box::new(no_faults));
        Build::start(&shelf, 2, &FOURTH).visit("p").await;
        let after = row(&shelf, "p");
        assert_eq!((after.schema, after.revision.get(), pages(&after).len()), (4, 2, 1), "once, whichever it was");
        assert_eq!(read(&FOURTH, &after).len(), 3);
    }
}

#[tokio::test]
async fn a_step_that_fails_refuses_that_player_and_leaves_the_record() {
    let shelf = Shelf::default();
    stored(&shelf, "unlucky", FIRST, &[("b:0", sword(1, 1)), ("c:gold", gold(builds::UNLUCKY))]).await;
    stored(&shelf, "calm", FIRST, &belongings()).await;
    let before = at_rest(&shelf, "unlucky");
    let build = Build::start(&shelf, 1, &FOURTH);
    let refused = build.roster.load(&id("unlucky")).await.expect_err("the step fails");
    assert!(matches!(&refused, LoadError::Unreadable(why) if why == "c:gold: 13 is no balance"), "{refused}");
    build.visit("calm").await;
    assert_eq!(at_rest(&shelf, "unlucky"), before);
    assert_eq!(row(&shelf, "calm").schema, 4);
}

#[tokio::test]
async fn a_record_from_the_future_is_refused_untouched() {
    let shelf = Shelf::default();
    stored(&shelf, "future", &FOURTH, &belongings()).await;
    stored(&shelf, "empty", &FOURTH, &[]).await;
    stored(&shelf, "calm", FIRST, &belongings()).await;
    let before = [at_rest(&shelf, "future"), at_rest(&shelf, "empty")];
    let build = Build::start(&shelf, 1, &SECOND);
    for player in ["future", "empty"] {
        let refused = build.roster.load(&id(player)).await.expect_err("it is newer");
        let why = "record format 4 is newer than this build reads (2): use the newer build";
        assert_eq!(refused, LoadError::Unreadable(why.to_owned()));
    }
    build.visit("calm").await;
    assert_eq!([at_rest(&shelf, "future"), at_rest(&shelf, "empty")], before);
    assert_eq!(OURS.knows(Stamp::stored(0, 0)), Err(SchemaError::NeverExisted { found: 0 }));
}

/// What a newer build wrote of the stacks goes through an older one by every way that stacks can go.
#[tokio::test]
async fn from_the_latest_to_an_older_build_and_back_nothing_is_lost() {
    let shelf = Shelf::default();
    stored(&shelf, "anna", &SECOND, &[("b:0", flag(sword(1, 1))), ("b:1", flag(sword(2, 9))), ("b:2", sword(3, 5))])
        .await;
    stored(&shelf, "bert", FIRST, &belongings()).await;

    let older = Build::start(&shelf, 1, FIRST);
    let amount = |n| NonZeroU32::new(n).expect("not zero");
    let moved = |from, to, quantity| Action::Move { from, to, quantity };
    older.act("anna", &moved(1, 6, Some(amount(4)))).await;
    older.act("anna", &moved(1, 7, None)).await;
    older.act("anna", &moved(7, 6, Some(amount(1)))).await;
    assert!(older.refuses("anna", &moved(2, 6, Some(amount(1)))).await, "what differs there does not merge");
    older.act("anna", &Action::Sort).await;
    let ore = ItemId::new("ore").expect("an item id");
    let grant =
        Action::Grant { item: ore, quantity: NonZeroU64::new(3).expect("not zero"), attributes: None, partial: false };
    older.act("anna", &grant).await;
    older.give("anna", "bert", 1, 1).await;
    older.give("anna", "bert", 3, 2).await;
    older.end().await;
    let (anna, bert) = (row(&shelf, "anna"), row(&shelf, "bert"));
    assert_eq!([(anna.schema, anna.readable_by), (bert.schema, bert.readable_by)], [(2, 1); 2], "no claim is lowered");

    let flagged = |row: &Row| -> Vec<(u32, bool)> {
        let mut seen: Vec<_> = read(&SECOND, row)
            .into_iter()
            .filter_map(|(_, content)| match content {
                Content::Stack(stack) => Some((stack.quantity.get(), attribute(&stack, "bound").is_some())),
                Content::Amount(_) => None,
            })
            .collect();
        seen.sort_unstable();
        seen
    };
    let newer = Build::start(&shelf, 2, &SECOND);
    newer.act("anna", &moved(0, 9, None)).await;
    newer.act("bert", &moved(0, 9, None)).await;
    newer.end().await;
    assert_eq!(flagged(&row(&shelf, "anna")), [(3, false), (3, false), (9, true)]);
    assert_eq!(flagged(&row(&shelf, "bert")), [(1, false), (1, true), (2, false), (9, false)]);
}

#[tokio::test]
async fn a_build_in_the_middle_of_the_chain_keeps_what_it_does_not_know_as_well() {
    let shelf = Shelf::default();
    let made = |content| text(flag(content), "maker", "Anna");
    stored(&shelf, "p", &FOURTH, &[("b:0", made(sword(1, 9))), ("c:gold", gold(7))]).await;
    let middle = Build::start(&shelf, 1, &THIRD);
    let split = Action::Move { from: 0, to: 3, quantity: NonZeroU32::new(4) };
    middle.act("p", &split).await;
    // It knows the flag, which is behind what the first format knows, and changes it.
    let unset = Action::SetAttributes {
        target: holdall_protocol::action::Target::Instance(builds::instance(1)),
        set: Vec::new(),
        remove: vec![builds::key("bound")],
    };
    middle.act("p", &unset).await;
    middle.end().await;
    let between = row(&shelf, "p");
    assert_eq!((between.schema, between.readable_by), (4, 3));
    Build::start(&shelf, 2, &FOURTH).visit("p").await;
    let after = row(&shelf, "p");
    assert_eq!(after.revision, between.revision, "it bears the number of the latest already");
    for (place, content) in read(&FOURTH, &after) {
        let Content::Stack(stack) = content else { continue };
        let bound = attribute(&stack, "bound").is_some();
        assert_eq!((bound, attribute(&stack, "maker").is_some()), (place == Place::Bag(3), true), "{place}");
    }
    let refused = Build::start(&shelf, 3, &SECOND).roster.load(&id("p")).await;
    assert!(refused.is_err(), "the second build is still too old for it: {refused:?}");
}

/// The newest build undoes what all of them wrote.
fn undoing_them_leads_back_to_birth(row: &Row, pages: &[Page]) {
    let places: Vec<(String, Bytes)> = row.places.clone().into_iter().collect();
    let stamp = Stamp::stored(row.schema, row.readable_by);
    let now = Now { revision: row.revision, stamp, places: &places };
    // The first revision was put there without an entry.
    let opening = Opening { revision: Revision::new(1), ..Opening::default() };
    let past = Past::of(&FOURTH, now, opening, pages.to_vec()).expect("what is stored can be read");
    let born = past.clone().at(Revision::new(1)).expect("every image can be read").expect("it is not that old");
    let mut expected: Vec<(Place, Content)> = belongings()
        .iter()
        .map(|(place, content)| {
            let value = FIRST.to_bytes(content);
            FOURTH.read(FIRST.form().stamp(), place, &value).expect("an old value can be read")
        })
        .collect();
    expected.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(born.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(past.clone().at(Revision::ZERO), Ok(None), "before the ledger begins");
    assert_eq!(past.clone().at(row.revision.next()), Ok(None), "not yet");

    let torn = pages.iter().filter(|page| page.revision != Revision::new(5)).cloned().collect();
    let mut torn = Past::of(&FOURTH, now, past.opening().clone(), torn).expect("what is stored can be read");
    let last = torn.by_ref().last().expect("entries");
    assert_eq!(last, Err(Lost::Torn { wanted: Revision::new(5), found: Some(Revision::new(4)) }));
    assert_eq!((torn.revision(), torn.next()), (Revision::new(5), None), "it ends for good");
}

#[tokio::test]
async fn images_in_the_ledger_are_read_by_the_same_chain_whichever_build_wrote_them() {
    let shelf = Shelf::default();
    stored(&shelf, "p", FIRST, &belongings()).await;
    let debit = Action::Debit {
        currency: ItemId::new("gold").expect("an item id"),
        amount: NonZeroU64::new(10).expect("not zero"),
    };
    let shift = |slot: u16| Action::Move { from: slot, to: slot + 1, quantity: None };
    let eras: [(&'static Chain, u16); 6] =
        [(FIRST, 4), (&SECOND, 5), (FIRST, 6), (&FOURTH, 7), (&THIRD, 8), (&FOURTH, 9)];
    for (boot, (chain, slot)) in (1..).zip(eras) {
        let build = Build::start(&shelf, boot, chain);
        build.act("p", &debit).await;
        build.act("p", &shift(slot)).await;
        build.end().await;
    }
    let row = row(&shelf, "p");
    let pages = pages(&row);
    let schemas: Vec<u32> = pages.iter().map(|page| page.schema).collect();
    assert_eq!(schemas, [1, 1, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 4]);
    undoing_them_leads_back_to_birth(&row, &pages);
    let mut balance = 250;
    for page in &pages {
        let stamp = Stamp::stored(page.schema, row.readable_by);
        for (place, image) in page.before.iter().filter_map(|(place, image)| Some((place, image.as_ref()?))) {
            match FOURTH.read(stamp, place, image).unwrap_or_else(|error| panic!("{page:?}: {error}")).1 {
                Content::Amount(amount) => {
                    assert_eq!(amount, balance);
                    balance -= 10;
                }
                Content::Stack(stack) => assert_eq!((stack.instance, stack.quantity.get()), (builds::instance(2), 9)),
            }
        }
    }
    assert_eq!(balance, 250 - 60);
}

/// What a format owes that calls itself readable by an older one.
#[test]
fn a_readable_format_reads_what_older_builds_write_as_its_steps_would() {
    let build = |number: u32| [FIRST, &SECOND, &THIRD, &FOURTH][usize::try_from(number - 1).expect("small")];
    for newest in [FIRST, &SECOND, &THIRD, &FOURTH] {
        assert_eq!(newest.upgrades.len() + 1, usize::try_from(newest.number).expect("small"), "a step between any two");
        assert!((1..=newest.number).contains(&newest.readable_by));
        for older in newest.readable_by..newest.number {
            for (place, content) in belongings() {
                let value = build(older).to_bytes(&content);
                let stepped = newest.read(Stamp::stored(older, older), place, &value);
                let left = newest.read(Stamp::stored(newest.number, newest.readable_by), place, &value);
                assert!(stepped.is_ok());
                assert_eq!(left, stepped, "{place} by build {older} under the number {}", newest.number);
                // And the build after that, to which the number says that the value needs no earlier step.
                if let Some(next) = (newest.number < 4).then(|| build(newest.number + 1)) {
                    assert_eq!(
                        next.read(Stamp::stored(newest.number, newest.readable_by), place, &value),
                        next.read(Stamp::stored(older, older), place, &value),
                    );
                }
            }
        }
    }
}

/// Headers and batches that were stored before a record said by whom it can be read.
mod without_readable_by {
    use super::*;
    use holdall_server::store::{Batch, embedded::Embedded};
    use redb::{Database, TableDefinition};

    #[tokio::test]
    async fn a_header_is_still_read() {
        const PLAYERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("players");
        let dir = holdall_harness::server::TempDir::new();
        let file = dir.path().join("store.redb");
        drop(Embedded::open(&file, 1 << 20, node()).expect("a new file opens"));
        let header = (None::<String>, 3_u64, 5_u64, 7_u64, None::<[u8; 16]>, 1_u32, 2_u32, 9_u64);
        let database = loop {
            // The store's thread gives the file up a moment after its last handle.
            match Database::open(&file) {
                Ok(database) => break database,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let transaction = database.begin_write().expect("a transaction");
        transaction
            .open_table(PLAYERS)
            .expect("the table")
            .insert("old", rmp_serde::to_vec(&header).expect("bytes").as_slice())
            .expect("a row");
        transaction.commit().expect("it commits");
        drop(database);
        let store = Embedded::open(&file, 1 << 20, node()).expect("it opens");
        let loaded = acquire(&store, "old").await;
        assert_eq!((loaded.revision.get(), loaded.seq.get(), loaded.schema, loaded.content), (5, 7, 1, 2));
        assert_eq!(Stamp::stored(loaded.schema, loaded.readable_by), Stamp { format: 1, readable_by: 1 });
    }

    #[test]
    fn a_spooled_batch_is_still_read() {
        let places = vec![("b:0", Some(Bytes::from_static(b"\x01")))];
        let old = ("p", "here:1:1", 4, 5, 6, 1, 2, 7, places, Bytes::new(), true);
        let bytes = rmp_serde::to_vec(&(uuid::Uuid::from_u128(8), vec![old])).expect("bytes");
        let read: Batch = rmp_serde::from_slice(&bytes).expect("a batch");
        let [write] = &read.players[..] else { panic!("one player: {read:?}") };
        assert_eq!(
            (write.player.clone(), write.revision.get(), write.release),
            (PlayerId::new("p").expect("an id"), 5, true)
        );
        assert_eq!(write.readable_by, 0);
    }
}

#[tokio::test]
async fn a_migration_of_all_does_what_the_loads_would_and_a_dry_run_nothing() {
    let (shelf, visited) = (Shelf::default(), Shelf::default());
    let players = [("first", FIRST), ("second", &SECOND), ("third", &THIRD)];
    for shelf in [&shelf, &visited] {
        for (player, chain) in players {
            stored(shelf, player, chain, &belongings()).await;
        }
        let player = placing(
            write("damaged", &acquire(&shelf.open(node()), "damaged").await.owner, 0, 1),
            &[("b:0", Some("?"))],
        );
        assert_eq!(shelf.open(node()).commit(batch(vec![player]), Life::default()).await, Outcome::Applied);
    }
    let before = shelf.rows();
    let build = Build::start(&shelf, 2, &THIRD);
    let dry = migrate(&build.roster, Mode::DryRun, |_, _| {}).await.expect("the store is there");
    assert_eq!(shelf.rows(), before, "not even an epoch");
    assert_eq!((dry.players, dry.forward, dry.rewritten, dry.current, dry.refused.len()), (4, 2, 2, 1, 1));
    let mut told = 0;
    let real = migrate(&build.roster, Mode::ForReal, |done, total| told = done.max(total)).await.expect("as before");
    assert_eq!((told, real), (4, Migrated { dry_run: false, ..dry }), "what was told is what was done");
    assert_eq!(row(&shelf, "damaged"), before[&id("damaged")], "what cannot be read is left alone");

    for (player, chain) in players {
        Build::start(&visited, 2, &THIRD).visit(player).await;
        let (one, other) = (row(&shelf, player), row(&visited, player));
        assert_eq!((one.revision, &one.places, one.schema), (other.revision, &other.places, other.schema));
        assert_eq!((one.owner, read(&THIRD, &other)), (None, read(&THIRD, &row(&shelf, player))), "{}", chain.number);
    }
    let again = migrate(&build.roster, Mode::ForReal, |_, _| {}).await.expect("as before");
    assert_eq!((again.forward, again.current, again.refused.len()), (0, 3, 1));
    build.end().await;
}
