//! Reloads while bots play: nothing is lost and nothing doubled, whichever catalogue an action met.

use super::Files;
use holdall_harness::{
    bots::{expect_a_market_in_order, impatient, on_a_market_day, play},
    child::Site,
    command::holdall,
    redis::Redis,
};
use std::{path::Path, time::Duration};
use tokio::time::sleep;

/// The shipped catalogue, and three others: with smaller stacks, without some things, and with things that stay with
/// whoever has them.
fn catalogues() -> [String; 4] {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/items.toml");
    let shipped = std::fs::read_to_string(file).expect("the shipped catalogue");
    let smaller =
        shipped.replace("max_stack = 100\n", "max_stack = 7\n").replace("max_stack = 20\n", "max_stack = 3\n");
    let fewer =
        shipped.replace("id = \"ore\"", "id = \"ore_of_another_kind\"").replace("id = \"gems\"", "id = \"pearls\"");
    let bound = shipped.replace("kind = \"consumable\"", "kind = \"consumable\"\ntradeable = false");
    for other in [&smaller, &fewer, &bound] {
        assert_ne!(*other, shipped);
    }
    [shipped, smaller, fewer, bound]
}

async fn play_through_reloads(site: Site, store: &[&str], seed: u64) {
    println!("seed {seed}");
    let files = Files(impatient(site).flag("--config=holdall.toml").leave("catalog.items_file"));
    let catalogues = catalogues();
    files.items(&catalogues[0]);
    files.config("");
    let server = files.start().await;
    let bots = play(on_a_market_day(server.game, seed, Duration::from_secs(6)));
    let mut reloads = 0;
    while !bots.is_finished() {
        // The last one the bots end with is any of them: what is frozen then is there, and counted.
        reloads += 1;
        files.items(&catalogues[reloads % catalogues.len()]);
        if reloads % 5 == 0 {
            server.hang_up();
        } else {
            files.reload().await;
        }
        sleep(Duration::from_millis(40)).await;
    }
    let report = bots.await.expect("the bots do not panic");
    println!("{reloads} reloads, {} requests", report.requests);
    expect_a_market_in_order(&report);
    assert!(reloads > 20, "only {reloads} reloads");
    assert_eq!(server.stop().await, Some(0));
    let all: Vec<&str> = ["verify"].iter().chain(store).copied().collect();
    holdall(files.0.dir(), &all).await.expect(0, &[]);
}

#[tokio::test]
async fn on_a_market_day_nothing_is_lost_or_doubled() {
    play_through_reloads(Site::new().allow("no longer fit the catalogue"), &["--data-dir=data"], 42).await;
}

#[tokio::test]
async fn nor_is_it_on_redis() {
    let redis = Redis::run().await;
    let url = redis.url();
    play_through_reloads(Site::new().on(&url).allow("no longer fit the catalogue"), &["--store", &url], 43).await;
}
