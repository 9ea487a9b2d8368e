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

/// The same on a market day: they give, trade and visit the shop, if there is one, and leave for longer than an impatient server keeps them.
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

/// What bots find in a shop: plenty and little, with a price in one currency, in two, and none, with a bound, and not yet for
/// sale; and something for carts alone.
const SHOP: &str = r#"
[[sku]]
id = "potion"
stock = 1000000
item = "health_potion"
price = { gold = 3 }

[[sku]]
id = "sword"
stock = 40
item = "iron_sword"
price = { gold = 20, gems = 1 }

[[sku]]
id = "one_each"
stock = 1000
item = "gems"
price = { gold = 5 }
limit_per_player = 2

[[sku]]
id = "gift"
stock = 500
item = "ore"
price = {}

[[sku]]
id = "next_century"
stock = 5
item = "ore"
price = { gold = 1 }
opens_at = 2100-01-01T00:00:00Z

[[sku]]
id = "crate"
stock = 5
"#;

/// Opens a shop, in which nobody meets a limit by accident.
///
/// # Panics
/// When its file cannot be written.
#[must_use]
pub fn with_a_shop(site: Site) -> Site {
    let file = site.dir().join("shop.toml");
    std::fs::write(&file, SHOP).expect("the site can be written to");
    let file = file.to_str().expect("a path that is text").to_owned();
    site.knob("catalog.shop_file", file)
        .knob("limits.holds_max", 64)
        .knob("limits.holds_per_minute", 1_000_000)
        .knob("limits.holds_burst", 100_000)
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
pub async fn play_while_the_server_is_killed(site: &mut Site, options: impl FnOnce(SocketAddr) -> Options) -> Report {
    let mut server = start_for_good(site).await;
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

/// Expects the same of a market day with a shop.
///
/// # Panics
/// When it is not so, or nobody has bought anything.
pub fn expect_a_shop_in_order(report: &Report) {
    expect_a_market_in_order(report);
    let Report { holds, purchases, released, expired, .. } = report;
    assert!([holds, purchases, released, expired].into_iter().all(|count| *count > 0), "they shopped: {report}");
    assert!(report.conservation.values().any(|account| account.bought > 0), "something was bought: {report}");
    assert!(report.conservation.get("gold").is_some_and(|gold| gold.bought < 0), "and paid for: {report}");
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
