//! `holdall inspect`: a stored player, read from the outside.

use bytes::Bytes;
use holdall_harness::{
    child::Site,
    client::{Client, drop_item, grant},
    command::holdall,
    redis::Redis,
    resp::Reply,
    server::TempDir,
};
use holdall_protocol::ids::{PlayerId, Revision, Seq};
use holdall_server::store::{Node, Preferences, Store, Stored, embedded::Embedded};
use serde_json::{Value, json};
use std::path::Path;

/// A data directory with one player in it, whose places and ledger are what the caller says.
pub(crate) async fn data_dir_with(dir: &Path, player: &str, places: &[(&str, &[u8])], ledger: &[(u64, &[u8])]) {
    std::fs::create_dir_all(dir).expect("a directory");
    std::fs::write(dir.join("node"), "0123456789abcdef\n").expect("a file");
    let node = Node { id: "test".to_owned(), boot: 1 };
    let store = Embedded::open(&dir.join("store.redb"), 1 << 20, node).expect("a new file opens");
    let stored = Stored {
        owner: None,
        epoch: 3,
        revision: Revision::new(2),
        seq: Seq::new(1),
        schema: 1,
        readable_by: 1,
        content: 0,
        saved_at: 951_782_400_000,
        places: places.iter().map(|(place, value)| ((*place).to_owned(), Bytes::copy_from_slice(value))).collect(),
        preferences: Preferences::default(),
        inbox: Vec::new(),
        writer: None,
    };
    let ledger = ledger.iter().map(|(at, bytes)| (Revision::new(*at), Bytes::copy_from_slice(bytes))).collect();
    store.import(PlayerId::new(player).expect("an id"), stored, ledger).await.expect("it is taken");
    close(store, dir).await;
}

/// Gives up the store of a data directory. Its thread ends a little later, and the lock on the file with it.
pub(crate) async fn close(store: Embedded, data: &Path) {
    drop(store);
    let file = std::fs::File::open(data.join("store.redb")).expect("the file is there");
    tokio::task::spawn_blocking(move || file.lock()).await.expect("no panic").expect("the lock is given");
}

/// What of an inspection does not change when a server lets the player go.
fn lasting(mut inspection: Value) -> Value {
    let fields = inspection.as_object_mut().expect("an object");
    for passing in ["owner", "saved_at"] {
        fields.remove(passing).expect("it is told");
    }
    inspection
}

async fn shows_the_same_with_and_without_a_server(site: &Site, at: &[&str]) {
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 30)).await;
    anna.apply(grant("iron_sword", 1)).await;
    anna.apply(drop_item("ore", 4)).await;
    let command: Vec<&str> = ["inspect", "anna", "--json"].iter().chain(at).copied().collect();
    let running = holdall(site.dir(), &command).await.json();
    assert!(running["owner"].is_string(), "{running}");
    assert_eq!(server.stop().await, Some(0));
    let stopped = holdall(site.dir(), &command).await.json();
    assert_eq!(stopped["owner"], Value::Null);
    assert_eq!(lasting(running), lasting(stopped.clone()));

    assert_eq!((&stopped["revision"], &stopped["seq"], &stopped["schema"]), (&json!(4), &json!(3), &json!(1)));
    let (slot, sword) = anna.stack("iron_sword");
    let place =
        stopped["places"].as_array().and_then(|places| places.iter().find(|held| held["place"] == format!("b:{slot}")));
    let place = place.expect("the sword's place is shown");
    assert_eq!((&place["item"], &place["instance"]), (&json!("iron_sword"), &json!(sword.instance)));
    assert_eq!(stopped["ledger"]["entries"], 4);
    let last = &stopped["ledger"]["last"][3];
    assert_eq!((&last["reason"], &last["actor"], &last["seq"]), (&json!("drop"), &json!("player:anna"), &json!(3)));
    assert_eq!(last["lines"], json!([{"from": "player:anna", "to": "sink", "item": "ore", "quantity": 4}]));

    let command: Vec<&str> = ["inspect", "anna"].iter().chain(at).copied().collect();
    holdall(site.dir(), &command).await.expect(
        0,
        &["player    anna", "revision  4, last request 3", "ore ×26", "iron_sword ×1", "4 ore: player:anna → sink"],
    );
}

#[tokio::test]
async fn a_player_is_shown_alike_with_and_without_a_server() {
    let site = Site::new();
    shows_the_same_with_and_without_a_server(&site, &["--data-dir", "data"]).await;
    shows_the_same_as_the_text(&site).await;
}

/// A data directory is a store's name too.
async fn shows_the_same_as_the_text(site: &Site) {
    let (one, other) = (["inspect", "anna", "--data-dir", "data"], ["inspect", "anna", "--store", "data"]);
    assert_eq!(holdall(site.dir(), &one).await.out, holdall(site.dir(), &other).await.out);
}

#[tokio::test]
async fn a_player_in_a_redis_is_shown_alike_with_and_without_a_server() {
    let redis = Redis::run().await;
    let url = redis.url();
    shows_the_same_with_and_without_a_server(&Site::new().on(&url), &["--store", &url]).await;
    let dir = TempDir::new();
    holdall(dir.path(), &["inspect", "anna", "--store", &url, "--realm", "other"]).await.expect(3, &["realm other"]);
    assert_eq!(redis.ask(&["KEYS", "*other*"]).await, Reply::Array(Vec::new()), "a look leaves nothing");
}

#[tokio::test]
async fn what_cannot_be_read_is_shown_beside_what_can() {
    let dir = TempDir::new();
    let places: [(&str, &[u8]); 4] = [("b:0", b"\xc1\x07"), ("c:gold", b"\x2a"), ("z\x1b[2J", b"\x01"), ("b:10", b"")];
    data_dir_with(&dir.path().join("data"), "anna", &places, &[(2, b"\xff\xff")]).await;
    let shown = holdall(dir.path(), &["inspect", "anna", "--data-dir", "data", "--json"]).await.json();
    let held = |place: &str| {
        let places = shown["places"].as_array().expect("places");
        places.iter().find(|held| held["place"] == place).unwrap_or_else(|| panic!("{place}: {shown}")).clone()
    };
    assert_eq!(held("c:gold")["amount"], 42);
    assert_eq!(held("b:0")["bytes"], "c107");
    assert!(held("b:0")["unreadable"].is_string() && held("b:10")["unreadable"].is_string());
    assert_eq!(shown["ledger"]["entries"], 0);
    assert_eq!(shown["ledger"]["unreadable"].as_array().map(Vec::len), Some(1));
    let text = holdall(dir.path(), &["inspect", "anna", "--data-dir", "data"]).await;
    text.expect(0, &["UNREADABLE", "c107", "42", "2000-02-29T00:00:00.000Z"]);
    assert!(!text.out.contains('\x1b'), "what is stored cannot play with the terminal: {text:?}");
}

#[tokio::test]
async fn a_damaged_header_is_refused_and_left_as_it_is() {
    let redis = Redis::run().await;
    let url = redis.url();
    let site = Site::new().on(&url);
    let server = site.start().await;
    Client::enter(server.game, "anna").await.apply(grant("ore", 1)).await;
    redis.tell(&["HSET", "holdall:{main}:player:anna", "rev", "many"]).await;
    holdall(site.dir(), &["inspect", "anna", "--store", &url]).await.expect(3, &["cannot be read", "left as it is"]);
    // Without an address the command finds the data directory in use, and asks its server.
    holdall(site.dir(), &["inspect", "anna", "--data-dir", "data"])
        .await
        .expect(3, &["cannot be read", "left as it is"]);
    let rev = redis.ask(&["HGET", "holdall:{main}:player:anna", "rev"]).await;
    assert_eq!(rev, Reply::Bulk("many".to_owned()));
    redis.tell(&["HSET", "holdall:{main}:player:anna", "rev", "2"]).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_to_do() {
    let dir = TempDir::new();
    data_dir_with(&dir.path().join("data"), "anna", &[], &[]).await;
    std::fs::create_dir(dir.path().join("other")).expect("a directory");
    std::fs::create_dir(dir.path().join("bare")).expect("a directory");
    std::fs::write(dir.path().join("bare/node"), "x\n").expect("a file");
    for (player, store, code, words) in [
        ("berta", "data", 1, ["no player berta", ""]),
        ("an/na", "data", 2, ["player id", "an/na"]),
        ("anna", "nowhere", 3, ["no data directory", "nowhere"]),
        ("anna", "other", 3, ["not a data directory", "server.data_dir"]),
        ("anna", "bare", 3, ["no store in it", "Redis"]),
        ("anna", "redis://127.0.0.1:1", 3, ["Redis cannot be used", ""]),
        ("anna", "ftp://127.0.0.1", 2, ["--store", "redis://"]),
    ] {
        holdall(dir.path(), &["inspect", player, "--store", store]).await.expect(code, &words);
    }
    assert!(!dir.path().join("nowhere").exists(), "a look makes nothing");
    assert!(!dir.path().join("bare/store.redb").exists(), "a look makes nothing");
}
