//! kill -9 at any moment under load: what was acknowledged is there, nothing is there twice, and every player goes on.

use holdall_client_sim::{Options, Report, scenario::Load};
use holdall_harness::{
    bots::{again_and_again, expect_in_order, options, play, play_while_the_server_is_killed, start_for_good},
    child::Site,
};
use std::{fs, time::Duration};
use tokio::time::sleep;

fn in_order(report: &Report) {
    expect_in_order(report);
    assert!(report.reconnects > 0, "somebody was there when it was killed: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_it_acknowledged() {
    let length = Duration::from_secs(5);
    in_order(&play_while_the_server_is_killed(Site::new(), |game| options(game, 1, length, Load::Depth(8))).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is given: tests/run --long"]
async fn a_server_killed_again_and_again_loses_nothing_it_acknowledged() {
    again_and_again(async |seed| {
        let load = if seed.is_multiple_of(2) { Load::Depth(8) } else { Load::ThinkTime(Duration::from_millis(5)) };
        let length = Duration::from_secs(30);
        in_order(&play_while_the_server_is_killed(Site::new(), |game| options(game, seed, length, load)).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_store_put_back_under_their_feet_is_found() {
    let mut site = Site::new();
    let server = start_for_good(&mut site).await;
    let load = Load::ThinkTime(Duration::from_millis(20));
    let bots = play(Options { bots: 8, ..options(server.game, 1, Duration::from_secs(4), load) });
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
