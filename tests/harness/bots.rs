//! The simulator's bots against servers of the harness: they play, and check every word they hear.

use crate::child::{Server, Site};
use holdall_client_sim::{Options, Report, conservation::State, mix::Weights, run, scenario::Load};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::sleep};

/// How many play.
pub const BOTS: usize = 24;

/// Bots that play against the server at this address for so long.
///
/// # Panics
/// Never: an address makes a URL.
#[must_use]
pub fn options(game: SocketAddr, seed: u64, play: Duration, load: Load) -> Options {
    let url = format!("ws://{game}/ws").parse().expect("an address makes a URL");
    // Longer than any fault lasts, and what comes after it.
    let patience = Duration::from_secs(90);
    Options { seed, load, patience, give_up: patience, ..Options::new(url, BOTS, play) }
}

/// The same on a market day: they give and trade, and leave for longer than an impatient server keeps them.
#[must_use]
pub fn on_a_market_day(game: SocketAddr, seed: u64, play: Duration) -> Options {
    let load = Load::ThinkTime(Duration::from_millis(10));
    let (churn, away) = (Some(Duration::from_secs(2)), Duration::from_millis(600));
    Options { mix: Weights::MARKET_DAY, churn, away, ..options(game, seed, play, load) }
}

/// Lets players go soon, and trades be over soon.
#[must_use]
pub fn impatient(site: Site) -> Site {
    site.knob("limits.linger_ms", 300).knob("limits.invite_expiry_ms", 1_000).knob("limits.trade_expiry_ms", 2_000)
}

/// Lets them play.
#[must_use]
pub fn play(options: Options) -> JoinHandle<Report> {
    tokio::spawn(run(options))
}

/// Bots play while the server is killed and started again at random moments.
///
/// # Panics
/// When a server does not start, or the last one does not end in good order.
pub async fn play_while_the_server_is_killed(mut site: Site, options: impl FnOnce(SocketAddr) -> Options) -> Report {
    let mut server = start_for_good(&mut site).await;
    let options = options(server.game);
    let (seed, length) = (options.seed, options.duration);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let bots = play(options);
    let (begin, mut slowest, mut kills) = (Instant::now(), Duration::ZERO, 0);
    while begin.elapsed() + Duration::from_secs(1) < length {
        sleep(Duration::from_millis(rng.random_range(200..1200))).await;
        server.kill().await;
        let killed = Instant::now();
        server = site.start().await;
        (slowest, kills) = (slowest.max(killed.elapsed()), kills + 1);
    }
    let report = bots.await.expect("the bots do not panic");
    println!("{kills} kills, {} effects asked for, ready again after at most {slowest:?}", report.requests);
    assert_eq!(server.stop().await, Some(0), "a clean stop at the end");
    report
}

/// Starts a server whose successors on the site will listen at the same address.
pub async fn start_for_good(site: &mut Site) -> Server {
    let server = site.start().await;
    site.turn("server.listen", server.game);
    server
}

/// Expects that no promise was broken: everybody proven, everything conserved, each request answered.
///
/// # Panics
/// When one was.
pub fn expect_in_order(report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
    assert_eq!(report.proven, report.bots, "{report}");
    assert_eq!(report.requests, report.replies, "{report}");
    assert!(report.conservation.values().all(|account| account.state != State::Broken), "{report}");
    assert!(report.requests > 0, "they played: {report}");
}

/// Expects the same of a market day, and that not even an inbox leaves a doubt about where everything is.
///
/// # Panics
/// When there is one, or nobody has traded.
pub fn expect_a_market_in_order(report: &Report) {
    expect_in_order(report);
    assert!(report.conservation.values().all(|account| account.state == State::Conserved), "{report}");
    assert!(report.trades > 0 && report.gifts > 0 && report.delivered > 0, "they traded: {report}");
}

/// Repeats a randomised round with one new seed after the other, for as long as `tests/run --long` gives it; or plays the
/// round of `HOLDALL_SEED` once more.
pub async fn again_and_again(mut round: impl AsyncFnMut(u64)) {
    let variable = |name| std::env::var(name).ok();
    if let Some(seed) = variable("HOLDALL_SEED").and_then(|text| text.parse().ok()) {
        return round(seed).await;
    }
    let minutes = variable("HOLDALL_TEST_MINUTES").and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut seed: u64 = StdRng::from_os_rng().random();
    while Instant::now() < until {
        round(seed).await;
        seed = seed.wrapping_add(1);
    }
}
