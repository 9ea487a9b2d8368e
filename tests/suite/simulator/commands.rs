//! `client-sim run` as it is typed: its exit codes, and the files it writes.

use holdall_harness::{
    child::{Server, Site},
    command::client_sim,
};
use serde_json::Value;

async fn play(site: &Site, server: &Server, more: &[&str]) -> holdall_harness::command::Said {
    let url = format!("ws://{}/ws", server.game);
    let bounds = ["run", "--url", &url, "--bots", "6", "--duration", "1s", "--think-time", "50ms"];
    client_sim(site.dir(), &[&bounds[..], more].concat()).await
}

#[tokio::test]
async fn a_good_run_ends_with_0_and_leaves_what_was_asked_for() {
    let site = Site::new();
    let server = site.start().await;
    let said = play(&site, &server, &["--json", "run.json", "--html", "run.html", "--require", "violations<=0"]).await;
    said.expect(0, &["6 of 6 proven", "violations     0", "met    violations <= 0", "play"]);
    let json: Value = serde_json::from_slice(&std::fs::read(site.dir().join("run.json")).unwrap()).unwrap();
    assert_eq!((&json["config"]["scenario"], &json["config"]["bots"]), (&"steady".into(), &6.into()), "{json}");
    assert_eq!(json["requirements"][0]["met"], true, "{json}");
    assert!(json["series"].as_array().is_some_and(|series| series.len() >= 3), "{json}");
    let server_cpu = &json["series"][0]["server_cpu_percent"];
    assert!(server_cpu.is_number(), "the server was found by its port: {server_cpu}");
    let page = std::fs::read_to_string(site.dir().join("run.html")).unwrap();
    assert!(page.contains("all promises kept") && page.contains("--html run.html"), "{page}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn an_operators_key_that_was_typed_stands_in_no_report() {
    let site = Site::new();
    let server = site.start().await;
    let key = "holdall_00112233445566778899aabbccddeeff";
    let operator = ["--operator", "http://127.0.0.1:1", "--operator-key", key, "--mix", "idle"];
    let said = play(&site, &server, &[&operator[..], &["--json", "run.json", "--html", "run.html"]].concat()).await;
    said.expect(0, &["6 of 6 proven"]);
    for file in ["run.json", "run.html"] {
        let text = std::fs::read_to_string(site.dir().join(file)).unwrap();
        assert!(text.contains("--operator-key") && !text.contains(key), "{file}: {text}");
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_requirement_that_was_not_met_ends_with_3() {
    let site = Site::new();
    let server = site.start().await;
    let said = play(&site, &server, &["--require", "p99_us<1", "--require", "throughput_per_s>1"]).await;
    said.expect(3, &["FAILED p99_us < 1", "met    throughput_per_s > 1"]);
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_broken_promise_ends_with_1_whatever_was_required() {
    let site = Site::new();
    let server = site.start().await;
    // The server believes nobody's signature.
    let said = play(&site, &server, &["--jwt-key", "secret", "--jwt-audience", "a"]).await;
    said.expect(2, &["secret"]);
    std::fs::write(site.dir().join("secret"), "0123456789abcdef0123456789abcdef").unwrap();
    let wrong = ["--jwt-key", "secret", "--jwt-audience", "a", "--require", "p99_us<1"];
    play(&site, &server, &wrong).await.expect(1, &["closed for good: unauthorized", "not measured"]);
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_cannot_be_played_ends_with_2_before_anybody_plays() {
    let site = Site::new();
    let server = site.start().await;
    std::fs::write(site.dir().join("mine.toml"), "bots = 3\n").unwrap();
    for (arguments, word) in [
        (&["--require", "speed>9"][..], "throughput_per_s, p50_us"),
        (&["--scenario", "stedy"], "login_storm"),
        (&["--scenario", "mine.toml"], "missing field"),
        (&["--mix", "nothing"], "market_day"),
        (&["--rate", "5"], "cannot be used with"),
        (&["--abusers", "2"], "from 0 to 1"),
        (&["--operator", "http://127.0.0.1:1"], "--operator-key"),
        (&["--jwt-key", "key.pem"], "--jwt-audience"),
        (&["--json", "no/such/folder.json"], "no/such/folder.json"),
    ] {
        let said = play(&site, &server, arguments).await;
        said.expect(2, &[word]);
        assert!(!said.out.contains("requests"), "{said:?}");
    }
    let nobody = client_sim(site.dir(), &["run", "--url", "ws://127.0.0.1:1/ws"]).await;
    nobody.expect(2, &["nobody answers at ws://127.0.0.1:1/ws"]);
    let elsewhere = client_sim(site.dir(), &["run", "--url", &format!("ws://{}/game", server.game)]).await;
    elsewhere.expect(2, &["nobody can play at", "404"]);
    let no_scheme = client_sim(site.dir(), &["run", "--url", "http://127.0.0.1:1/ws"]).await;
    no_scheme.expect(2, &["--url http://127.0.0.1:1/ws: it must begin with ws:// or wss://"]);
    assert_eq!(server.stop().await, Some(0));
}
