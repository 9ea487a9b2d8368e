//! Scenarios: each that has a name is played for a moment, and a file that is wrong says what may stand there.

use holdall_client_sim::{
    Options, Report,
    conservation::State,
    duration,
    mix::Weights,
    report::Progress,
    run,
    scenario::{BUILT_IN, Load, Scenario, Storm, run_watched},
};
use holdall_harness::{
    child::PATIENCE,
    server::{Server, TempDir},
};
use holdall_server::config::Settings;
use std::{net::SocketAddr, time::Duration};
use tokio::sync::Notify;

/// Limits that honest players do not meet by accident, and no long waits for those who say nothing.
fn generous(settings: &mut Settings) {
    let limits = &mut settings.limits;
    (limits.actions_per_second, limits.actions_burst) = (200, 200);
    (limits.gifts_per_minute, limits.gifts_burst) = (100_000, 10_000);
    (limits.invites_per_minute, limits.invites_per_pair_per_minute) = (10_000, 10_000);
    (limits.hello_deadline_ms, limits.linger_ms, limits.invite_expiry_ms) = (300, 200, 1_000);
}

/// A scenario as it is named, made small.
fn small(name: &str, game: SocketAddr) -> Options {
    let url = format!("ws://{game}/ws").parse().expect("an address makes a URL");
    let options = Scenario::named(name).expect("a built-in scenario").options(name, url);
    Options { bots: 24, duration: Duration::from_secs(3), load: Load::ThinkTime(Duration::from_millis(30)), ..options }
}

fn in_order(report: &Report) {
    no_violations(report);
    assert!(report.conservation.values().all(|account| account.state == State::Conserved), "{report}");
}

fn no_violations(report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
    assert_eq!(report.proven, report.bots, "{report}");
    assert_eq!(report.requests, report.replies, "{report}");
    assert!(report.replies > 200 && !report.series.is_empty(), "they played: {report}");
}

async fn play(name: &str, change: impl FnOnce(&mut Options)) -> Report {
    let dir = TempDir::new();
    let server = Server::start(dir.path(), generous).await;
    let mut options = small(name, server.game);
    change(&mut options);
    let report = run(options).await;
    server.stop().await;
    in_order(&report);
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn steady_is_an_evening_on_which_nothing_happens() {
    let report = play("steady", |_| {}).await;
    assert_eq!((report.bots, report.reconnects, report.abusers), (24, 0, 0), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_login_storm_everybody_comes_back_in_waves() {
    let (every, away) = (Duration::from_millis(900), Duration::from_millis(200));
    let report = play("login_storm", |options| options.storm = Some(Storm { every, away })).await;
    assert!(report.reconnects >= 2 * 24, "two whole waves at least: {report}");
    assert!(report.login_us.max > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_market_day_things_change_hands() {
    let report = play("market_day", |options| options.away = Duration::from_millis(400)).await;
    assert!(report.trades > 0 && report.gifts > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_flaky_network_what_was_cut_is_asked_again() {
    let report = play("flaky_network", |options| {
        (options.churn, options.away) = (Some(Duration::from_millis(400)), Duration::from_millis(300));
    })
    .await;
    assert!(report.reconnects > 24 && report.resumes > 0 && report.asked_again > 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_are_right_in_the_end_and_not_measured() {
    let pause = Duration::from_millis(300);
    let report = play("slow_readers", |options| (options.slow_readers, options.slow_pause) = (0.5, pause)).await;
    assert!(report.measured > 0 && report.measured < report.replies * 4 / 5, "only those who read at once: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_reader_is_not_told_comes_in_one_snapshot_and_it_is_right() {
    let dir = TempDir::new();
    // More gifts than as shipped, so that a few givers are enough; the queue and the kernel's buffers are as shipped.
    let server = Server::start(dir.path(), generous).await;
    let options = Options {
        bots: 40,
        slow_readers: 0.1,
        slow_pause: Duration::from_secs(5),
        mix: Weights { gift: 80, grant: 5, drop: 5, move_stack: 30, use_one: 10, resync: 1, ..Weights::IDLE },
        load: Load::ThinkTime(Duration::from_millis(20)),
        // Or until it has happened.
        duration: PATIENCE * 3,
        ..small("slow_readers", server.game)
    };
    let seen = Notify::new();
    let told = |progress: &Progress| {
        if progress.collapsed > 0 {
            seen.notify_one();
        }
    };
    let report = run_watched(options, told, seen.notified()).await;
    server.stop().await;
    if report.reconnects == 0 {
        in_order(&report);
    } else {
        // On a busy machine it is too slow even for the grace, and is closed. So many gifts have come to it then that the
        // newest entries of its ledger do not reach back to all that it had asked for, and nobody can tell it of the rest.
        no_violations(&report);
    }
    assert!(report.collapsed > 0, "the server left something out for somebody: {report}");
    assert!(report.to_string().contains("snapshots for deltas that were left out"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn abusers_are_turned_away_and_nobody_else_notices() {
    let report = play("abusers", |options| options.abusers = 0.5).await;
    assert_eq!((report.bots, report.abusers), (12, 12), "{report}");
    assert!(report.abuses.len() > 12, "they tried nearly everything: {report}");
    let ends = |what: &str| report.abuses.get(what).map(|ends| ends.keys().cloned().collect::<Vec<_>>());
    for (what, end) in [("an operator's power", "unknown_action"), ("a forged token", "closed: unauthorized")] {
        assert!(ends(what).is_none_or(|ends| ends.iter().any(|found| found == end)), "{what}: {report}");
    }
    assert!(!report.abuses.values().any(|ends| ends.contains_key("taken") || ends.contains_key("no end")), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fell_due_and_was_not_sent_is_counted() {
    let report = play("steady", |options| {
        options.mix = Weights::SIMPLE;
        (options.load, options.churn) = (Load::Rate(400.0), Some(Duration::from_millis(150)));
    })
    .await;
    assert!(report.unsent > 0 && report.reconnects > 0, "{report}");
    // Beside what was due, everybody asked for a last proof, and somebody for a few definitions.
    let (due, asked) = (400.0 * report.duration_s, (report.requests + report.unsent) as f64);
    assert!((asked - due).abs() < 24.0 * 4.0, "{due} were due, {asked} are accounted for: {report}");
}

#[test]
fn every_built_in_scenario_is_a_file_that_can_be_copied() {
    for (name, text) in BUILT_IN {
        let scenario = Scenario::named(name).unwrap_or_else(|error| panic!("{error}"));
        assert!(scenario.bots >= 100 && scenario.duration >= Duration::from_secs(30), "{name}");
        assert!(text.starts_with("# "), "{name} says what it is");
    }
}

#[test]
fn a_file_that_is_wrong_names_the_line_and_what_may_stand_there() {
    let dir = TempDir::new();
    let file = dir.path().join("mine.toml");
    let good = "bots = 5\nduration = \"1s\"\n";
    let think = "[load]\nthink_time = \"1s\"\n";
    for (text, words) in [
        (format!("{good}bot = 3\n{think}"), &["line 3", "unknown field `bot`", "connect_rate"][..]),
        (format!("bots = 0\nduration = \"1s\"\n{think}"), &["line 1", "0 is not from 1 to 1000000"]),
        (format!("bots = 5\nduration = \"1\"\n{think}"), &["line 2", "needs a unit"]),
        (format!("{good}mix = \"mine\"\n{think}"), &["line 3", "default, simple, market_day, idle"]),
        (format!("{good}{think}[mix]\nsteal = 1\n"), &["line 6", "steal", "equip"]),
        (format!("{good}{think}depth = 3\n"), &["line 3", "one of think_time, rate and depth"]),
        (format!("{good}[load]\nrate = 0\n"), &["line 4", "above 0"]),
        (format!("{good}{think}[faults]\nabusers = 1.5\n"), &["line 6", "from 0 to 1"]),
        (format!("{good}{think}[faults]\nstorm = {{ every = \"1s\" }}\n"), &["line 6", "away"]),
        (good.to_owned(), &["missing field `load`"]),
    ] {
        std::fs::write(&file, &text).unwrap();
        let error = Scenario::named(file.to_str().unwrap()).unwrap_err().to_string();
        assert!(error.contains("mine.toml"), "{error}");
        for word in words {
            assert!(error.contains(word), "{word} is missing for {text:?}: {error}");
        }
    }
    let unknown = Scenario::named("stedy").unwrap_err().to_string();
    assert!(unknown.contains("steady, login_storm") && unknown.contains("no such file"), "{unknown}");
}

#[test]
fn a_file_sets_what_the_run_is_made_of() {
    let dir = TempDir::new();
    let file = dir.path().join("mine.toml");
    let text = "bots = 10\nduration = \"90s\"\nconnect_rate = 7\n[load]\nrate = 50\n[mix]\nuse = 2\n[faults]\nchurn = \"3s\"\nabusers = 0.2\n";
    std::fs::write(&file, text).unwrap();
    let url = "ws://example.test/ws".parse().unwrap();
    let options = Scenario::named(file.to_str().unwrap()).unwrap().options("mine", url);
    assert_eq!((options.players(), options.abusers(), options.connect_rate), (8, 2, 7));
    assert_eq!((options.load, options.churn), (Load::Rate(50.0), Some(Duration::from_secs(3))));
    assert_eq!(options.mix, Weights { use_one: 2, ..Weights::IDLE });
    assert_eq!(duration::text(options.duration), "90s");
}
