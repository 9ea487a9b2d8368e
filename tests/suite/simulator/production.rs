//! The bots against a server as it is in production: signed tokens, and nothing granted to who asks.

use crate::{operator_api::key, sign_in::key_file};
use holdall_client_sim::{
    Options, Report,
    conservation::State,
    operator::Operator,
    run,
    scenario::Load,
    token::{Algorithm, Claims, Signer, Tokens},
};
use holdall_harness::child::{Server, Site};
use std::{sync::Arc, time::Duration};

fn site() -> Site {
    Site::new()
        .knob("auth.mode", "jwt")
        .knob("auth.algorithm", "EdDSA")
        .knob("auth.key_file", key_file("ed25519.public.pem").to_str().expect("a path that is text"))
        .knob("auth.audience", "the-game")
}

fn tokens(file: &str) -> Tokens {
    let lifetime = Duration::from_secs(60);
    let claims = Claims { audience: "the-game".to_owned(), player_claim: "sub".to_owned(), lifetime };
    Tokens::Signed(Arc::new(Signer::read(Algorithm::EdDsa, &key_file(file), claims).expect("a private key")))
}

fn options(server: &Server, key: &str) -> Options {
    let url = format!("ws://{}/ws", server.game).parse().expect("an address makes a URL");
    let address = format!("http://{}", server.operator).parse().expect("an address makes a URL");
    Options {
        tokens: tokens("ed25519.private.pem"),
        operator: Some(Operator::new(address, key.to_owned())),
        load: Load::ThinkTime(Duration::from_millis(30)),
        churn: Some(Duration::from_millis(700)),
        ..Options::new(url, 16, Duration::from_secs(3))
    }
}

fn granted(report: &Report) -> i128 {
    report.conservation.values().map(|account| account.granted).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_sign_their_tokens_and_an_operator_tops_them_up() {
    let site = site();
    let server = site.start().await;
    let key = key(&site, "operate", "sim").await;
    let report = run(options(&server, &key)).await;
    assert_eq!(report.violations, Vec::<String>::new(), "{report}");
    assert_eq!((report.proven, report.requests), (report.bots, report.replies), "{report}");
    let done = report.top_ups.expect("there was somebody to ask").done;
    assert!(done > 0 && granted(&report) >= i128::from(done), "{report}");
    assert!(report.conservation.values().all(|account| account.state == State::Conserved), "{report}");
    assert!(report.reconnects > 0 && !report.refusals.contains_key("unknown_action"), "{report}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_key_that_may_only_look_is_told_once() {
    let site = site();
    let server = site.start().await;
    let key = key(&site, "read", "rita").await;
    let report = run(options(&server, &key)).await;
    assert_eq!((report.violations_count, report.proven), (1, report.bots), "{report}");
    assert!(report.violations[0].contains("top-up by the operator API"), "{report}");
    assert_eq!(granted(&report), 0, "{report}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_does_not_trust_signs_nobody_in() {
    let site = site().allow("unauthorized");
    let server = site.start().await;
    let key = key(&site, "operate", "sim").await;
    let tokens = tokens("ed25519_other.private.pem");
    let report = run(Options { tokens, bots: 3, ..options(&server, &key) }).await;
    assert!(report.violations.iter().any(|violation| violation.contains("unauthorized")), "{report}");
    assert_eq!((report.proven, report.requests), (0, 0), "{report}");
    assert_eq!(server.stop().await, Some(0));
}

#[test]
fn a_file_that_is_no_key_says_so() {
    let claims = Claims { audience: "a".into(), player_claim: "sub".into(), lifetime: Duration::from_secs(60) };
    for (algorithm, file) in [
        (Algorithm::EdDsa, "ed25519.public.pem"),
        (Algorithm::Rs256, "ed25519.private.pem"),
        (Algorithm::Es256, "hs256.secret"),
        (Algorithm::Hs256, "nothing-there"),
    ] {
        let error = Signer::read(algorithm, &key_file(file), claims.clone()).expect_err(file);
        assert!(error.contains(file), "{error}");
    }
}
