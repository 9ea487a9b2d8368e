//! Files that are wrong, and what only a start reads: nothing changes, and everything that stands in the way is told.

use super::{Files, ITEMS, with, without};
use holdall_harness::{
    child::Server,
    client::{Client, grant},
};
use serde_json::{Value, json};

/// That the server judges by the catalogue and the settings it was started with.
async fn expect_as_before(server: &Server, client: &mut Client) {
    let mut other = Client::enter(server.game, "bert").await;
    assert_eq!(other.welcome().catalog, client.welcome().catalog);
    assert_eq!(other.welcome().limits, client.welcome().limits);
    other.apply(grant("bread", 1)).await;
    client.apply(grant("bread", 1)).await;
    assert_eq!(client.reloads, [], "nobody is told of anything");
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_and_changes_nothing() {
    let files = Files::new("");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut carl = Client::enter(server.game, "carl").await;
    anna.apply(grant("bread", 30)).await;
    carl.apply(grant("bread", 1)).await;
    carl.apply(grant("ore", 100)).await;
    files.items(&without("bread").replace("max_stack = 50", "max_stack = 49"));
    files.config("[inventory]\nmax_slots = 50\n");
    let report = files.look().await;
    assert_eq!((&report["dry_run"], &report["version"]), (&json!(true), &json!(2)));
    assert_eq!(report["knobs"], json!([{"knob": "inventory.max_slots", "before": "100", "after": "50"}]));
    assert_eq!(
        report["freezing"],
        json!([
            {"item": "bread", "why": "removed", "players": 2, "stacks": 3},
            {"item": "ore", "why": "too_large", "players": 1, "stacks": 2},
        ])
    );
    files.command(&["--dry-run"]).await.expect(
        0,
        &[
            "inventory.max_slots: 100 -> 50",
            "item bread: removed",
            "item ore: max_stack",
            "2 loaded players with the removed item bread: 3 stacks frozen",
            "2 stacks of ore beyond the new maximum, of 1 loaded player: frozen",
            "would be in force",
        ],
    );
    expect_as_before(&server, &mut anna).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_reload_that_finds_nothing_else_tells_nobody() {
    let files = Files::new("");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    files.items(&format!("# A remark.\n{ITEMS}"));
    let report = files.reload().await;
    assert_eq!((&report["version"], &report["hash"]), (&json!(1), &json!(anna.welcome().catalog.hash)));
    files.command(&[]).await.expect(0, &["nothing is different"]);
    expect_as_before(&server, &mut anna).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_each_fault_is_told_with_its_line() {
    let files = Files::new("").allow("nothing was reloaded");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    files.items(&with("max_stack = 20", "max_stack = 0").replace("kind = \"weapon\"", "kind = \"wepon\""));
    files.config("[inventory]\nmax_slots = 50\n");
    let line = |words: &str| ITEMS.lines().position(|line| line == words).expect("a line") + 1;
    let faults =
        [format!("items.toml:{}: ", line("max_stack = 20")), format!("items.toml:{}: ", line("kind = \"weapon\""))];
    server.hang_up();
    for fault in &faults {
        server.logs(&format!("nothing was reloaded: {fault}")).await;
    }
    let said = files.command(&[]).await;
    said.expect(2, &["nothing was reloaded", &faults[0], &faults[1]]);
    files.command(&["--dry-run"]).await.expect(2, &[&faults[0], &faults[1]]);
    expect_as_before(&server, &mut anna).await;

    // Right items, wrong settings.
    files.items(&without("iron_sword"));
    files.config("[inventory]\nmax_slots = 20_000\n");
    server.hang_up();
    server.logs("nothing was reloaded: holdall.toml:2: inventory.max_slots: ").await;
    files.command(&["--config=elsewhere.toml"]).await.expect(2, &["elsewhere.toml"]);
    expect_as_before(&server, &mut anna).await;

    files.config("[inventory]\nmax_slots = 200\n");
    server.hang_up();
    let told = anna.until_reloaded(2).await;
    assert_eq!(told.limits.max_slots, 200);
    server.logs("item iron_sword: removed").await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_only_a_start_reads_needs_one() {
    let files = Files::new("").allow("nothing was reloaded");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    files.items(&without("iron_sword"));
    files.config("[inventory]\nmax_slots = 50\n\n[server]\norigins = [\"https://play.example.com\"]\n[limits]\nframe_bytes_max = 1024\n");
    let faults = [
        "holdall.toml:5: server.origins: is [] and cannot become [\"https://play.example.com\"] without a restart",
        "holdall.toml:7: limits.frame_bytes_max: is 16384 and cannot become 1024 without a restart",
    ];
    files.command(&[]).await.expect(1, &["nothing was reloaded", faults[0], faults[1]]);
    server.hang_up();
    server.logs(faults[1]).await;
    expect_as_before(&server, &mut anna).await;

    files.config("");
    files.write(
        "migrations.toml",
        "[[step]]\nnumber = 1\ndefault_attribute = { item = \"*\", key = \"age\", value = 1 }\n",
    );
    files.command(&["--dry-run"]).await.expect(1, &["migrations.toml: ", "now it is 1", "restart"]);
    files.command(&[]).await.expect(1, &["migrations.toml: ", "now it is 1", "restart"]);
    expect_as_before(&server, &mut anna).await;
    drop(anna);
    assert_eq!(server.stop().await, Some(0));

    let server = files.start().await;
    let anna = Client::enter(server.game, "anna").await;
    assert!(!anna.stack("bread").1.attributes.is_empty(), "a start takes the step");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn without_a_server_there_is_nothing_to_reload() {
    let files = Files::new("");
    files.command(&[]).await.expect(3, &["no server answers", "data"]);
}

#[tokio::test]
async fn reloads_at_the_same_time_come_one_after_the_other() {
    let files = Files::new("");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut versions = Vec::new();
    for round in 0..4 {
        files.items(&if round % 2 == 0 { without("bread") } else { ITEMS.to_owned() });
        server.hang_up();
        let (one, two, three) = tokio::join!(files.reload(), files.reload(), files.reload());
        for report in [one, two, three] {
            assert_eq!(report["version"], json!(round + 2), "whoever was first changed it, the others found it so");
            versions.push(report["items"] == json!({"added": [], "removed": [], "renamed": [], "changed": []}));
        }
    }
    anna.until_reloaded(5).await;
    let told: Vec<u64> = anna.reloads.iter().map(|told| told.catalog.version).collect();
    assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
    assert!(versions.iter().filter(|unchanged| !**unchanged).count() <= 4, "each change is made once");
    anna.apply(grant("bread", 1)).await;
    let last: Value = files.reload().await;
    assert_eq!(last["version"], json!(5));
    assert_eq!(server.stop().await, Some(0));
}
