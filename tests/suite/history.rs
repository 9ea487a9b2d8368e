//! `holdall history`: what happened to a player, read from the outside.

use holdall_harness::{
    child::Site,
    client::{Client, drop_item, gift, grant},
    command::holdall,
    redis::Redis,
};
use serde_json::{Value, json};

async fn history(site: &Site, at: &[&str], more: &[&str]) -> Value {
    let command: Vec<&str> = ["history", "anna", "--json"].iter().chain(at).chain(more).copied().collect();
    holdall(site.dir(), &command).await.json()
}

fn revisions(history: &Value) -> Vec<u64> {
    let entries = history["entries"].as_array().expect("entries");
    entries.iter().map(|entry| entry["revision"].as_u64().expect("a number")).collect()
}

async fn tells_the_same_with_and_without_a_server(site: Site, at: &[&str]) {
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    Client::enter(server.game, "bert").await;
    anna.apply(grant("ore", 30)).await;
    anna.apply(grant("bread", 2)).await;
    anna.apply(drop_item("ore", 4)).await;
    let (slot, ore) = anna.stack("ore");
    anna.apply(gift("bert", ore.instance, 6)).await;
    let running = history(&site, at, &[]).await;
    let recent = history(&site, at, &["--since", "3", "--item", "ore"]).await;
    assert_eq!(server.stop().await, Some(0));
    assert_eq!(history(&site, at, &[]).await, running, "a server tells the same");

    assert_eq!((revisions(&running), &running["revision"]), (vec![1, 2, 3, 4, 5], &json!(5)));
    assert_eq!(revisions(&recent), [4, 5]);
    let drop = &recent["entries"][0];
    assert_eq!((&drop["reason"], &drop["actor"], &drop["seq"]), (&json!("drop"), &json!("player:anna"), &json!(3)));
    let change = &drop["changes"][0];
    assert_eq!(change["place"], format!("b:{slot}"));
    assert_eq!((&change["before"]["quantity"], &change["after"]["quantity"]), (&json!(30), &json!(26)));
    let day = "2026-01-01";
    assert_eq!(revisions(&history(&site, at, &["--since", day]).await), [1, 2, 3, 4, 5]);
    assert_eq!(revisions(&history(&site, at, &["--since", "9999-01-01T00:00:00Z"]).await), [0_u64; 0]);

    let command: Vec<&str> = ["history", "anna"].iter().chain(at).copied().collect();
    let text = holdall(site.dir(), &command).await;
    the_export_is_the_same_history(&site, at, &running).await;
    text.expect(
        0,
        &[
            "player    anna",
            "drop by player:anna, request 3; 4 ore: player:anna → sink",
            "6 ore: player:anna → player:bert",
        ],
    );
    let change = format!("b:{slot}          ore ×30, {}", ore.instance);
    assert!(text.out.contains(&change) && text.out.contains(" → ore ×26, "), "{change}: {}", text.out);
}

/// With a server and without one.
async fn the_export_is_the_same_history(site: &Site, at: &[&str], annas: &Value) {
    let export = async |more: &[&str]| -> Vec<Value> {
        let command: Vec<&str> = ["ledger", "export"].iter().chain(at).chain(more).copied().collect();
        let said = holdall(site.dir(), &command).await;
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
        said.out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    };
    let all = export(&[]).await;
    let mut mine = export(&["anna"]).await;
    let berts: Vec<&Value> = all.iter().filter(|line| line["player"] == "bert").collect();
    assert_eq!((berts.len(), berts[1]["reason"].as_str()), (2, Some("gift_received")));
    assert_eq!(all.len(), mine.len() + berts.len(), "nobody else");
    for line in &mut mine {
        assert_eq!(line.as_object_mut().expect("an entry").remove("player"), Some(json!("anna")));
    }
    assert_eq!(Value::Array(mine), annas["entries"]);
    assert_eq!(export(&["--since", "9999-01-01"]).await, [json!(null); 0]);
    let server = site.start().await;
    assert_eq!(export(&[]).await, all, "a server tells the same");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_history_is_told_alike_with_and_without_a_server() {
    tells_the_same_with_and_without_a_server(Site::new(), &["--data-dir", "data"]).await;
}

#[tokio::test]
async fn a_history_in_a_redis_is_told_alike_with_and_without_a_server() {
    let redis = Redis::run().await;
    let url = redis.url();
    tells_the_same_with_and_without_a_server(Site::new().on(&url), &["--store", &url]).await;
}

#[tokio::test]
async fn what_cannot_be_told_is_said_with_what_to_do() {
    let site = Site::new();
    let server = site.start().await;
    Client::enter(server.game, "anna").await;
    let says = async |words: &[&str], code: i32, expected: &str| {
        let command: Vec<&str> = ["history", "--data-dir", "data"].iter().chain(words).copied().collect();
        holdall(site.dir(), &command).await.expect(code, &[expected]);
    };
    says(&["nobody"], 1, "no player nobody").await;
    says(&["an/na"], 2, "player id").await;
    says(&["anna", "--since", "yesterday"], 2, "such as 2026-11-21").await;
    says(&["anna", "--since", "2026-02-30"], 2, "such as 2026-11-21").await;
    says(&["anna", "--item", "no item"], 2, "--item").await;
    let exports = async |words: &[&str], code: i32, expected: &str| {
        let command: Vec<&str> = ["ledger", "export", "--data-dir", "data"].iter().chain(words).copied().collect();
        holdall(site.dir(), &command).await.expect(code, &[expected]);
    };
    exports(&["nobody"], 1, "no player nobody").await;
    exports(&["--since", "12"], 2, "such as 2026-11-21").await;
    assert_eq!(server.stop().await, Some(0));
    says(&["nobody"], 1, "no player nobody").await;
}
