//! Requirements on a run: what they may say, and when they are met.

use holdall_client_sim::{Options, mix::Weights, require::Requirement, run};
use holdall_harness::server::{Server, TempDir};
use std::time::Duration;

fn error(text: &str) -> String {
    text.parse::<Requirement>().expect_err(text).clone()
}

#[test]
fn a_requirement_that_means_nothing_is_refused_before_the_run() {
    let figures = "throughput_per_s, p50_us, p90_us, p99_us, p999_us, max_us, refused_ratio, collapsed, violations";
    for (text, words) in [
        ("p99<5", figures),
        ("p99_us", figures),
        ("p99_us=5", figures),
        ("", figures),
        ("p99_us<", "not a number"),
        ("p99_us<fast", "not a number"),
        ("p99_us<NaN", "not a number"),
        ("p99_us<<5", "not a number"),
    ] {
        assert!(error(text).contains(words), "{text}: {}", error(text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_held_against_what_was_required() {
    let dir = TempDir::new();
    let server = Server::start(dir.path(), |_| {}).await;
    let url: holdall_client_sim::scenario::Url = format!("ws://{}/ws", server.game).parse().unwrap();
    let options = Options::new(url, 8, Duration::from_secs(1));
    let idle = Options { mix: Weights::IDLE, ..options.clone() };
    let (played, idle) = (run(options).await, run(idle).await);
    server.stop().await;
    for (text, met) in [
        ("throughput_per_s > 0", true),
        ("throughput_per_s>=1e9", false),
        ("p50_us>0", true),
        ("p90_us <= 120000000", true),
        ("p99_us<1", false),
        ("p999_us < 120000000", true),
        ("max_us<=0", false),
        ("refused_ratio<=1", true),
        ("refused_ratio<0", false),
        ("collapsed<=0", true),
        ("violations<=0", true),
        ("violations<0", false),
    ] {
        let judged = text.parse::<Requirement>().expect(text).judge(&played);
        assert_eq!(judged.met, met, "{judged}");
        assert!(judged.found.is_some(), "{judged}");
    }
    for text in ["p99_us<1000000", "p99_us>0", "max_us>=0"] {
        let judged = text.parse::<Requirement>().expect(text).judge(&idle);
        assert!(!judged.met && judged.found.is_none(), "what was not measured is not met: {judged}");
    }
}
