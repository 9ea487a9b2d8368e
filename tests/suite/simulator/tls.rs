//! The simulator against a server that speaks TLS: every kind of bot gets through, and who is not vouched for is not played
//! against.

use crate::sign_in::key_file;
use holdall_client_sim::{
    Options, run,
    scenario::{Load, Url},
};
use holdall_harness::{child::Site, command::client_sim};
use std::time::Duration;

fn site() -> Site {
    Site::new()
        .knob("server.tls_cert_file", key_file("tls.cert.pem").display())
        .knob("server.tls_key_file", key_file("tls.key.pem").display())
        .knob("limits.hello_deadline_ms", 500)
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_that_are_cut_that_do_not_read_and_that_are_no_players_all_come_over_tls() {
    let server = site().start().await;
    let url = Url::new(&format!("wss://{}/ws", server.game), Some(&key_file("tls.cert.pem"))).expect("a good file");
    let report = run(Options {
        load: Load::ThinkTime(Duration::from_millis(30)),
        churn: Some(Duration::from_millis(700)),
        slow_readers: 0.3,
        slow_pause: Duration::from_millis(300),
        abusers: 0.3,
        ..Options::new(url, 20, Duration::from_secs(3))
    })
    .await;
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
    assert_eq!((report.bots, report.proven, report.abusers), (14, 14, 6), "{report}");
    assert_eq!(report.requests, report.replies, "{report}");
    assert!(report.replies > 100 && report.resumes > 0 && !report.abuses.is_empty(), "they played: {report}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_server_that_is_not_vouched_for_is_not_played_against() {
    let (site, plain) = (site(), Site::new());
    // At an address that its certificate does not name.
    let elsewhere = self::site().knob("server.listen", "127.0.0.2:0");
    let (server, plain_server, other) = (site.start().await, plain.start().await, elsewhere.start().await);
    let (good, wrong) = (key_file("tls.cert.pem"), key_file("tls_other.cert.pem"));
    let (good, wrong) = (good.to_str().expect("a path that is text"), wrong.to_str().expect("a path that is text"));
    let (tls, at_plain) = (format!("wss://{}/ws", server.game), format!("wss://{}/ws", plain_server.game));
    let (other_name, no_tls) = (format!("wss://{}/ws", other.game), format!("ws://{}/ws", server.game));
    std::fs::write(site.dir().join("no.pem"), "no certificate").expect("a directory of our own");
    for (url, ca_cert, words) in [
        (&tls, Some(good), ""),
        (&tls, Some(wrong), "no authority that is trusted here has signed its certificate"),
        (&other_name, Some(good), "its certificate is not for 127.0.0.2"),
        (&at_plain, Some(good), "speaks no TLS: perhaps it is at ws://"),
        (&no_tls, None, "speaks no HTTP: perhaps it is at wss://"),
        (&no_tls, Some(good), "--ca-cert is for wss://"),
        (&tls, Some("gone.pem"), "--ca-cert gone.pem"),
        (&tls, Some("no.pem"), "--ca-cert no.pem: no certificate in it"),
    ] {
        let play = ["run", "--url", url, "--mix", "idle", "--bots", "3", "--duration", "1s"];
        let trust = ca_cert.map_or(vec![], |file| vec!["--ca-cert", file]);
        let said = client_sim(site.dir(), &[&play[..], &trust].concat()).await;
        if words.is_empty() {
            said.expect(0, &["3 of 3 proven"]);
        } else {
            said.expect(2, &[words]);
            assert!(!said.out.contains("requests"), "{said:?}");
        }
    }
    for server in [server, plain_server, other] {
        assert_eq!(server.stop().await, Some(0));
    }
}
