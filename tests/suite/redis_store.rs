//! The Redis store where it differs from the others: several nodes on one realm, keys that somebody else wrote, scripts
//! that are forgotten, and what lies in Redis for a person to read.

use crate::conformance::{acquire, batch, id, node, on, passing, placing, waiting, write};
use bytes::Bytes;
use holdall_harness::{redis::Redis, resp::Reply};
use holdall_protocol::ids::{Revision, Seq};
use holdall_server::store::{
    AcquireError, Letter, Life, Node, Opening, Outcome, Owner, PlayerWrite, Preferences, ReadError, Renewal, Store,
    Stored,
    redis::{NoWorld, Options, Redis as RedisStore},
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const REALM: &str = "holdall:{conformance}:";
/// Guards against hangs only.
const PATIENCE: Duration = Duration::from_secs(30);

fn there() -> Node {
    Node { id: "there".to_owned(), boot: 7 }
}

fn key(player: &str) -> String {
    format!("{REALM}player:{player}")
}

fn ledger(player: &str) -> String {
    format!("{REALM}player:{player}:ledger")
}

/// A player at revision 1 with one slot and one ledger entry, and the token under which it was written.
async fn born(store: &dyn Store, player: &str) -> Owner {
    let owner = acquire(store, player).await.owner;
    let mut write = placing(write(player, &owner, 0, 1), &[("b:0", Some("ore"))]);
    write.entries = Bytes::from_static(b"birth");
    assert_eq!(store.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
    owner
}

async fn here_and_there(redis: &Redis) -> (RedisStore, RedisStore) {
    (on(redis, node()).await, on(redis, there()).await)
}

/// The life that a restarted Redis is in for this node.
async fn another_life(store: &dyn Store) -> Life {
    loop {
        match store.standings(Vec::new()).await {
            Ok(standings) if standings.life != Life::default() => return standings.life,
            Ok(_) | Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

mod several_nodes {
    use super::*;

    #[tokio::test]
    async fn a_player_of_a_live_node_is_held_and_free_after_a_release() {
        let redis = Redis::run().await;
        let (here, there) = here_and_there(&redis).await;
        let owner = born(&here, "p").await;
        assert_eq!(there.acquire(id("p"), Life::default()).await, Err(AcquireError::Held(owner.clone())));
        let mut release = write("p", &owner, 1, 1);
        release.release = true;
        assert_eq!(here.commit(batch(vec![release]), Life::default()).await, Outcome::Applied);
        let taken = acquire(&there, "p").await;
        assert!(taken.owner.epoch() > owner.epoch());
        let late = here.commit(batch(vec![write("p", &owner, 1, 2)]), Life::default()).await;
        assert_eq!(late, Outcome::Fenced { players: vec![id("p")] });
    }

    #[tokio::test]
    async fn a_player_of_a_node_that_signed_off_or_fell_silent_is_taken() {
        let redis = Redis::run().await;
        let (here, there) = here_and_there(&redis).await;
        born(&here, "p").await;
        // A Redis that has just been started gives the silent ones the time of a lease.
        sleep(Duration::from_secs(3)).await;
        there.renew(Life::default()).await.expect("Redis answers");
        let taken = acquire(&there, "p").await;
        assert_eq!(taken.revision, Revision::new(1));
        born(&there, "q").await;
        there.resign().await;
        assert_eq!(acquire(&here, "q").await.revision, Revision::new(1));
    }

    #[tokio::test]
    async fn right_after_a_restart_nobody_is_dead_but_an_earlier_boot() {
        let mut redis = Redis::run().await;
        let (here, there) = here_and_there(&redis).await;
        let owner = born(&here, "p").await;
        redis.kill().await;
        sleep(Duration::from_millis(2_200)).await;
        redis.start().await;
        let life = another_life(&there).await;
        assert_eq!(there.acquire(id("p"), life).await, Err(AcquireError::Unsettled), "it may still say what was lost");
        assert_eq!(there.acquire(id("new"), life).await, Err(AcquireError::Unsettled), "and have whom nobody knows of");
        let again = on(&redis, Node { boot: 2, ..node() }).await;
        let taken = there.acquire(id("p"), life).await.expect("its successor says that it is dead");
        assert!(taken.owner.epoch() > owner.epoch());
        drop(again);
    }

    #[tokio::test]
    async fn after_a_restart_players_are_given_once_everybody_alive_has_looked() {
        let mut redis = Redis::run().await;
        let (here, there) = here_and_there(&redis).await;
        let owner = born(&here, "p").await;
        redis.kill().await;
        redis.start().await;
        let life = another_life(&there).await;
        assert_eq!(there.acquire(id("new"), life).await, Err(AcquireError::Unsettled));
        let other_life = another_life(&here).await;
        here.renew(Life::default()).await.expect("Redis answers");
        assert_eq!(
            there.acquire(id("new"), life).await,
            Err(AcquireError::Unsettled),
            "it is alive and has not looked"
        );
        here.renew(other_life).await.expect("Redis answers");
        there.acquire(id("new"), life).await.expect("everybody has looked");
        assert_eq!(
            there.acquire(id("p"), life).await,
            Err(AcquireError::Held(owner)),
            "whoever is alive has its players"
        );
    }

    #[tokio::test]
    async fn a_sign_of_life_tells_whether_the_lease_had_run_out() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        assert_eq!(here.renew(Life::default()).await, Ok(Renewal::Held(Life::default())));
        sleep(Duration::from_millis(2_200)).await;
        assert_eq!(here.renew(Life::default()).await, Ok(Renewal::Lapsed(Life::default())));
        assert_eq!(here.renew(Life::default()).await, Ok(Renewal::Held(Life::default())));
        redis.tell(&["DEL", &format!("{REALM}node:here")]).await;
        assert_eq!(
            here.renew(Life::default()).await,
            Ok(Renewal::Lapsed(Life::default())),
            "who is forgotten has no lease"
        );
        let _later = on(&redis, Node { boot: 2, ..node() }).await;
        assert_eq!(here.renew(Life::default()).await, Ok(Renewal::Superseded));
    }

    #[tokio::test]
    async fn who_is_alive_is_told() {
        let redis = Redis::run().await;
        let (here, there) = here_and_there(&redis).await;
        assert_eq!(here.alive().await, Ok(vec!["there".to_owned()]));
        there.resign().await;
        assert_eq!(here.alive().await, Ok(Vec::new()));
    }

    fn said(letters: &[Letter]) -> Vec<&[u8]> {
        letters.iter().map(|letter| letter.content.as_ref()).collect()
    }

    #[tokio::test]
    async fn what_is_left_of_a_command_that_was_killed_goes_by_itself() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let options = Options {
            url: redis.url(),
            password: None,
            ca_cert: None,
            realm: "conformance".to_owned(),
            lease: Duration::from_secs(2),
            known_world: None,
            new_world: false,
            fresh_world: String::new(),
        };
        let command = RedisStore::visit(options, there(), NoWorld::Refused).await.expect("it is there");
        command.renew(Life::default()).await.expect("Redis answers");
        here.post("there".to_owned(), Bytes::from_static(b"too late")).await.expect("Redis answers");
        for key in ["node:there", "node:there:mail"] {
            let left = redis.tell(&["TTL", &format!("{REALM}{key}")]).await;
            assert!(matches!(left, Reply::Integer(seconds) if seconds > 0), "{key}: {left:?}");
        }
        let server = redis.tell(&["TTL", &format!("{REALM}node:{}", node().id)]).await;
        assert!(matches!(server, Reply::Integer(-1)), "a server comes back: {server:?}");
    }

    #[tokio::test]
    async fn letters_arrive_once_and_in_order_and_those_to_an_earlier_boot_do_not() {
        let redis = Redis::run().await;
        let (here, there) = here_and_there(&redis).await;
        for letter in ["one", "two"] {
            here.post("there".to_owned(), letter.into()).await.expect("Redis answers");
        }
        let before = Instant::now();
        let letters = timeout(PATIENCE, there.letters()).await.expect("letters");
        assert_eq!(said(&letters), [b"one", b"two"]);
        assert!(letters.iter().all(|letter| letter.posted <= before), "they were left before they were read");
        let waiting = tokio::spawn(there.letters());
        here.post("there".to_owned(), "three".into()).await.expect("Redis answers");
        assert_eq!(said(&timeout(PATIENCE, waiting).await.expect("a letter").expect("no panic")), [b"three"]);
        here.post("there".to_owned(), "too late".into()).await.expect("Redis answers");
        let later = on(&redis, Node { boot: 8, ..super::there() }).await;
        here.post("there".to_owned(), "four".into()).await.expect("Redis answers");
        assert_eq!(said(&timeout(PATIENCE, later.letters()).await.expect("a letter")), [b"four"]);
    }

    #[tokio::test]
    async fn an_owner_that_redis_forgot_is_told_again_unless_a_later_one_was_given() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let first = born(&here, "p").await;
        let second = acquire(&here, "p").await.owner;
        redis.tell(&["HSET", &key("p"), "owner", first.as_str(), "epoch", "1"]).await;
        assert_eq!(here.reclaim(id("p"), second.clone(), Revision::new(1), Life::default()).await, Ok(true));
        assert_eq!(
            here.reclaim(id("p"), second.clone(), Revision::new(1), Life::default()).await,
            Ok(true),
            "again changes nothing"
        );
        assert_eq!(here.reclaim(id("p"), first, Revision::new(1), Life::default()).await, Ok(false));
        let write = write("p", &second, 1, 2);
        assert_eq!(here.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
        assert!(acquire(&here, "p").await.owner.epoch() > second.epoch());
    }
}

mod a_restart {
    use super::*;

    #[tokio::test]
    async fn begins_another_life_and_nothing_is_taken_for_the_earlier_one() {
        let mut redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let owner = born(&here, "p").await;
        redis.kill().await;
        redis.start().await;
        let mut outcome = Outcome::Unknown;
        while matches!(outcome, Outcome::Unknown | Outcome::Unavailable { .. }) {
            outcome = here.commit(batch(vec![write("p", &owner, 1, 2)]), Life::default()).await;
        }
        assert_eq!(outcome, Outcome::Restarted);
        let standings = loop {
            if let Ok(standings) = here.standings(vec![id("p")]).await {
                break standings;
            }
        };
        assert_ne!(standings.life, Life::default());
        assert_eq!(standings.headers[0].revision, Revision::new(1));
        assert_eq!(here.acquire(id("p"), Life::default()).await, Err(AcquireError::Restarted));
        assert_eq!(here.reclaim(id("p"), owner.clone(), Revision::new(1), Life::default()).await, Ok(false));
        assert_eq!(here.commit(batch(vec![write("p", &owner, 1, 2)]), standings.life).await, Outcome::Applied);
    }

    #[tokio::test]
    async fn a_lease_after_a_sign_of_life_in_it_gives_nobody_the_player_of_another() {
        let mut redis = Redis::run().await;
        let (here, there) = here_and_there(&redis).await;
        let owner = born(&here, "p").await;
        redis.kill().await;
        redis.start().await;
        let (life, seen_there) = (another_life(&here).await, another_life(&there).await);
        here.renew(life).await.expect("Redis answers");
        sleep(Duration::from_secs(2)).await;
        let forgotten = Owner::new(&super::there(), owner.epoch() + 1);
        assert_eq!(there.reclaim(id("p"), forgotten, Revision::new(1), seen_there).await, Ok(false));
    }

    #[tokio::test]
    async fn in_place_of_the_world_loads_nobody() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        born(&here, "p").await;
        redis.tell(&["FLUSHALL"]).await;
        let refused = here.acquire(id("p"), Life::default()).await;
        assert!(
            matches!(refused, Err(AcquireError::Unavailable(_))),
            "nobody is born into an emptied Redis: {refused:?}"
        );
    }
}

mod damage {
    use super::*;

    /// After `damage`, which may take several commands, `p` is refused and left as it is, in a batch with somebody else
    /// too, and others are served.
    async fn refused(damage: &[&[&str]]) {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let (owner, other) = (born(&here, "p").await, born(&here, "other").await);
        for command in damage {
            redis.tell(command).await;
        }
        let before = (redis.ask(&["DUMP", &key("p")]).await, redis.ask(&["DUMP", &ledger("p")]).await);
        let with = |player: &str, owner: &Owner| {
            let mut write = placing(write(player, owner, 1, 2), &[("b:0", None), ("b:1", Some("new"))]);
            write.entries = Bytes::from_static(b"second");
            write
        };
        let both = here.commit(batch(vec![with("other", &other), with("p", &owner)]), Life::default()).await;
        assert_eq!(both, Outcome::Fenced { players: vec![id("p")] }, "{damage:?}");
        let loaded = here.acquire(id("p"), Life::default()).await;
        assert!(matches!(loaded, Err(AcquireError::Unreadable(_))), "{damage:?}: {loaded:?}");
        let after = (redis.ask(&["DUMP", &key("p")]).await, redis.ask(&["DUMP", &ledger("p")]).await);
        assert_eq!(format!("{before:?}"), format!("{after:?}"), "{damage:?}");
        let rest = here.commit(batch(vec![with("other", &other)]), Life::default()).await;
        assert_eq!(rest, Outcome::Applied, "{damage:?}");
        assert_eq!(here.ledger(id("other"), None).await.expect("it is whole").items.len(), 2, "{damage:?}");
    }

    #[tokio::test]
    async fn a_player_that_is_something_else_is_refused() {
        refused(&[&["DEL", &key("p")], &["SET", &key("p"), "diary"]]).await;
        refused(&[&["DEL", &key("p")], &["RPUSH", &key("p"), "diary"]]).await;
    }

    #[tokio::test]
    async fn a_ledger_that_is_something_else_is_refused() {
        refused(&[&["DEL", &ledger("p")], &["SET", &ledger("p"), "diary"]]).await;
    }

    #[tokio::test]
    async fn a_ledger_that_is_something_else_cannot_be_cut() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let (owner, other) = (born(&here, "p").await, born(&here, "other").await);
        redis.tell(&["SET", &ledger("p"), "diary"]).await;
        let before = redis.ask(&["DUMP", &key("p")]).await;
        let opening = Opening { revision: Revision::new(1), mark: "1-1".to_owned(), content: Bytes::from_static(b"x") };
        let cut = PlayerWrite { opening: Some(opening), ..write("p", &owner, 1, 1) };
        let both = here.commit(batch(vec![write("other", &other, 1, 2), cut]), Life::default()).await;
        assert_eq!(both, Outcome::Fenced { players: vec![id("p")] });
        assert_eq!(redis.ask(&["GET", &ledger("p")]).await.text(), "diary");
        assert_eq!(format!("{before:?}"), format!("{:?}", redis.ask(&["DUMP", &key("p")]).await));
        assert_eq!(acquire(&here, "other").await.revision, Revision::new(1), "nothing was written");
    }

    #[tokio::test]
    async fn an_owner_that_is_no_token_is_refused() {
        for owner in ["somebody", "", "a:b:c", "here:0000000000000001:x", "::"] {
            refused(&[&["HSET", &key("p"), "owner", owner]]).await;
        }
    }

    #[tokio::test]
    async fn a_number_that_is_none_refuses_the_load() {
        for (field, value) in [
            ("rev", "-1"),
            ("rev", "1e3"),
            ("rev", ""),
            ("epoch", "1.5"),
            ("epoch", "9223372036854775807"),
            ("seq", "many"),
            ("schema", "4294967296"),
            ("content", " 1"),
            ("saved_at", "0x10"),
        ] {
            let redis = Redis::run().await;
            let here = on(&redis, node()).await;
            born(&here, "p").await;
            redis.tell(&["HSET", &key("p"), field, value]).await;
            let loaded = here.acquire(id("p"), Life::default()).await;
            assert!(matches!(loaded, Err(AcquireError::Unreadable(_))), "{field} {value:?}: {loaded:?}");
            assert_eq!(redis.ask(&["HGET", &key("p"), field]).await.text(), value, "it is left as it is");
        }
    }

    #[tokio::test]
    async fn a_ledger_that_takes_no_more_refuses_the_batch_whole() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let (owner, other) = (born(&here, "p").await, born(&here, "other").await);
        redis.tell(&["XADD", &ledger("p"), "18446744073709551615-18446744073709551615", "r", "1", "e", "x"]).await;
        let with = |player: &str, owner: &Owner| {
            let mut write = placing(write(player, owner, 1, 2), &[("b:0", None)]);
            write.entries = Bytes::from_static(b"second");
            write
        };
        let both = here.commit(batch(vec![with("other", &other), with("p", &owner)]), Life::default()).await;
        assert_eq!(both, Outcome::Fenced { players: vec![id("p")] });
        for player in ["p", "other"] {
            let stored = here.peek(id(player)).await.expect("it can be read").expect("it is there");
            assert_eq!(stored.revision, Revision::new(1), "nothing was written");
        }
        assert_eq!(here.ledger(id("other"), None).await.expect("it is whole").items.len(), 1, "and nothing was kept");
    }

    #[tokio::test]
    async fn an_inbox_that_is_something_else_takes_nothing_and_fences_the_giver() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let (giver, calm) = (born(&here, "giver").await, born(&here, "calm").await);
        let inbox = format!("{}:inbox", key("p"));
        redis.tell(&["SET", &inbox, "a diary"]).await;
        let put = passing(write("giver", &giver, 1, 2), &[("calm", 1, Some("x")), ("p", 2, Some("x"))]);
        let put = PlayerWrite { entries: Bytes::from_static(b"entry"), ..placing(put, &[("b:0", Some("x"))]) };
        let both = batch(vec![write("calm", &calm, 1, 2), put.clone()]);
        let fenced = Outcome::Fenced { players: vec![id("giver")] };
        assert_eq!(here.commit(both, Life::default()).await, fenced);
        assert_eq!(waiting(&here, "calm").await, [], "nothing was written");
        let (loaded, other) = (acquire(&here, "giver").await, acquire(&here, "calm").await);
        assert_eq!((loaded.revision, loaded.recent.len()), (Revision::new(1), 1), "as it was born");
        assert_eq!(other.revision, Revision::new(1));
        assert!(matches!(here.door(id("p")).await, Err(ReadError::Unreadable(_))));
        assert!(matches!(here.inbox(id("p")).await, Err(ReadError::Unreadable(_))));
        assert!(acquire(&here, "p").await.has_mail, "the owner is let in, and somebody has to look");
        redis.tell(&["DEL", &inbox]).await;
        let again = batch(vec![PlayerWrite { owner: loaded.owner, ..put }]);
        assert_eq!(here.commit(again, Life::default()).await, Outcome::Applied);
        assert_eq!(waiting(&here, "p").await.len(), 1);
    }

    #[tokio::test]
    async fn fields_of_a_newer_build_are_left_alone() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let owner = born(&here, "p").await;
        redis.tell(&["HSET", &key("p"), "mood", "good"]).await;
        assert_eq!(acquire(&here, "p").await.places.len(), 1);
        let loaded = acquire(&here, "p").await;
        assert_ne!(loaded.owner, owner);
        let write = write("p", &loaded.owner, 1, 2);
        assert_eq!(here.commit(batch(vec![write]), Life::default()).await, Outcome::Applied);
        assert_eq!(redis.ask(&["HGET", &key("p"), "mood"]).await.text(), "good");
    }
}

mod scripts {
    use super::*;

    #[tokio::test]
    async fn that_were_forgotten_are_told_again() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let owner = born(&here, "p").await;
        redis.tell(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(here.commit(batch(vec![write("p", &owner, 1, 2)]), Life::default()).await, Outcome::Applied);
        redis.tell(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(acquire(&here, "p").await.revision, Revision::new(2));
    }

    #[tokio::test]
    async fn take_more_places_than_lua_can_unpack_and_more_players_than_a_batch() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let places: Vec<String> = (0..10_000).map(|slot| format!("b:{slot}")).collect();
        let all = |value: Option<&'static str>| places.iter().map(|place| (place.as_str(), value)).collect::<Vec<_>>();
        let owner = acquire(&here, "p").await.owner;
        let full = placing(write("p", &owner, 0, 1), &all(Some("ore")));
        assert_eq!(here.commit(batch(vec![full]), Life::default()).await, Outcome::Applied);
        assert_eq!(here.peek(id("p")).await.expect("it can be read").expect("it is there").places.len(), 10_000);
        let empty = placing(write("p", &owner, 1, 2), &all(None));
        assert_eq!(here.commit(batch(vec![empty]), Life::default()).await, Outcome::Applied);
        assert_eq!(acquire(&here, "p").await.places, []);
        let mut writes = Vec::new();
        for n in 0..1_000 {
            let player = format!("many-{n}");
            let owner = acquire(&here, &player).await.owner;
            writes.push(placing(write(&player, &owner, 0, 1), &[("b:0", Some("ore"))]));
        }
        let together = batch(writes);
        assert_eq!(here.commit(together.clone(), Life::default()).await, Outcome::Applied);
        assert_eq!(here.commit(together, Life::default()).await, Outcome::Already);
    }
}

mod looking {
    use super::*;

    #[tokio::test]
    async fn finds_every_player_and_its_whole_ledger_page_by_page() {
        let redis = Redis::run().await;
        let here = on(&redis, node()).await;
        let mut expected: Vec<_> = (0..2_500).map(|n| id(&format!("p{n}"))).collect();
        let stored = |revision: u64| Stored {
            owner: None,
            epoch: 3,
            revision: Revision::new(revision),
            seq: Seq::new(5),
            schema: 1,
            readable_by: 1,
            content: 0,
            saved_at: 1,
            places: vec![("b:0".to_owned(), Bytes::from_static(b"ore"))],
            preferences: Preferences::default(),
            opened: Revision::ZERO,
            inbox: Vec::new(),
            writer: None,
        };
        for player in &expected {
            here.import(player.clone(), stored(9), Vec::new()).await.expect("it is new");
        }
        assert_eq!(here.import(id("p0"), stored(9), Vec::new()).await, Err(ReadError::Exists));
        let long: Vec<_> = (1..=1_000).map(|n| (Revision::new(n), Bytes::from(format!("entry {n}")))).collect();
        here.import(id("long"), stored(1_000), long.clone()).await.expect("it is new");
        expected.push(id("long"));
        let (mut found, mut mark) = (Vec::new(), None);
        loop {
            let page = here.players(mark).await.expect("Redis answers");
            found.extend(page.items);
            mark = page.next;
            if mark.is_none() {
                break;
            }
        }
        expected.sort();
        found.sort();
        found.dedup();
        assert_eq!(found, expected);
        let (mut items, mut mark) = (Vec::new(), None);
        loop {
            let page = here.ledger(id("long"), mark).await.expect("Redis answers");
            items.extend(page.items);
            mark = page.next;
            if mark.is_none() {
                break;
            }
        }
        assert_eq!(items, long);
        assert_eq!(here.peek(id("long")).await, Ok(Some(stored(1_000))));
        assert_eq!(here.peek(id("nobody")).await, Ok(None));
        let loaded = acquire(&here, "long").await;
        assert_eq!((loaded.revision, loaded.recent.len()), (Revision::new(1_000), 64));
    }
}
