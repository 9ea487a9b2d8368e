//! kill -9 at any moment under load: what was acknowledged is there, nothing is there twice, and every player goes on.

use holdall_client_sim::{Options, Report, conservation::State, run, scenario::Load};
use holdall_harness::child::Site;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Bots play for this long while the server is killed and started again.
async fn under_fire(seed: u64, play: Duration, load: Load) -> Report {
    println!("seed {seed}");
    let mut site = Site::new();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut server = site.start().await;
    site.turn("server.listen", server.game);
    let url = format!("ws://{}/ws", server.game).parse().expect("an address makes a URL");
    let bots = tokio::spawn(run(Options { seed, load, ..Options::new(url, 24, play) }));
    let (begin, mut slowest, mut kills) = (Instant::now(), Duration::ZERO, 0);
    while begin.elapsed() + Duration::from_secs(1) < play {
        sleep(Duration::from_millis(rng.random_range(200..1200))).await;
        server.kill().await;
        let killed = Instant::now();
        server = site.start().await;
        (slowest, kills) = (slowest.max(killed.elapsed()), kills + 1);
    }
    let report = bots.await.expect("the bots do not panic");
    println!("{kills} kills, {} effects asked for, ready again after at most {slowest:?}", report.requests);
    assert!(slowest < Duration::from_secs(20), "ready again after {slowest:?}");
    assert_eq!(server.stop().await, Some(0), "a clean stop at the end");
    report
}

fn in_order(report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
    assert_eq!(report.proven, report.bots, "{report}");
    assert_eq!(report.requests, report.replies, "{report}");
    assert!(report.conservation.values().all(|account| account.state != State::Broken), "{report}");
    assert!(report.reconnects > 0, "somebody was there when it was killed: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_it_acknowledged() {
    in_order(&under_fire(1, Duration::from_secs(5), Load::Depth(8)).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn a_server_killed_again_and_again_loses_nothing_it_acknowledged() {
    let minutes = std::env::var("HOLDALL_TEST_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut seed: u64 = StdRng::from_os_rng().random();
    while Instant::now() < until {
        let load = if seed.is_multiple_of(2) { Load::Depth(8) } else { Load::ThinkTime(Duration::from_millis(5)) };
        in_order(&under_fire(seed, Duration::from_secs(30), load).await);
        seed = seed.wrapping_add(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_store_put_back_under_their_feet_is_found() {
    let mut site = Site::new();
    let server = site.start().await;
    site.turn("server.listen", server.game);
    let url = format!("ws://{}/ws", server.game).parse().expect("an address makes a URL");
    let load = Load::ThinkTime(Duration::from_millis(20));
    let bots = tokio::spawn(run(Options { load, ..Options::new(url, 8, Duration::from_secs(4)) }));
    sleep(Duration::from_millis(1200)).await;
    server.kill().await;
    let (store, older) = (site.dir().join("data/store.redb"), site.dir().join("older"));
    fs::copy(&store, &older).expect("the store is one file");
    let server = site.start().await;
    sleep(Duration::from_millis(1200)).await;
    server.kill().await;
    fs::copy(&older, &store).expect("it can be put back");
    let server = site.start().await;
    let report = bots.await.expect("the bots do not panic");
    let lost = report.violations.iter().filter(|violation| violation.contains("lost acked effect")).count();
    assert!(lost >= report.bots / 2, "most bots had something acknowledged in between: {report}");
    server.stop().await;
}
