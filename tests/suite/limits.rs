//! Bounds on one client, over real sockets.

use crate::sign_in::{key_file, sign_as};
use holdall_harness::{
    child::Site,
    client::{Client, grant},
};
use holdall_protocol::{
    close::Close,
    code::Code,
    frame::Subprotocol,
    message::{Refused, ServerMessage},
};

#[tokio::test]
async fn an_excess_request_is_refused_with_a_time_to_wait_also_after_a_reconnect() {
    let site = Site::new().knob("limits.actions_per_second", 1).knob("limits.actions_burst", 5);
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let last = anna.send_all((0..40).map(|_| grant("ore", 1))).await;
    let mut excess = 0;
    for seq in 1..=last {
        if let ServerMessage::Refused(Refused { code, retry_after_ms, .. }) = anna.reply(seq).await {
            assert_eq!(code, Code::RateLimited);
            assert!(retry_after_ms.is_some_and(|wait| (1..=1_000).contains(&wait)), "{retry_after_ms:?}");
            excess += 1;
        }
    }
    assert!(excess > 20, "only {excess} of 40 were too many");
    let mut again = Client::open(server.game, Subprotocol::Json).await;
    again.hello("dev:anna", None).await;
    again.expect_close(Close::RateLimited).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_long_run_of_excess_closes_the_connection() {
    let site = Site::new().knob("limits.actions_per_second", 1).knob("limits.actions_burst", 2);
    let server = site.knob("limits.excess_max", 20).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.send_all((0..400).map(|_| grant("ore", 1))).await;
    anna.expect_close(Close::RateLimited).await;
    server.logs("suspicious").await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn silence_is_pinged_and_then_closed() {
    let site = Site::new().knob("limits.idle_timeout_ms", 600).knob("limits.ping_interval_ms", 100);
    let server = site.knob("limits.hello_deadline_ms", 300).start().await;
    let mut mute = Client::open(server.game, Subprotocol::Msgpack).await;
    mute.expect_close(Close::HelloTimeout).await;
    // A client that reads answers the pings and stays.
    let mut anna = Client::enter(server.game, "anna").await;
    assert!(anna.hear_within(std::time::Duration::from_millis(1_500)).await.is_none(), "only pings come");
    anna.apply(grant("ore", 1)).await;
    // One that answers nothing is closed.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    anna.expect_close(Close::Idle).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn loopback_may_have_any_number_of_connections() {
    let server = Site::new().knob("limits.connections_per_address_max", 1).start().await;
    for n in 0..10 {
        Client::enter(server.game, &format!("p{n}")).await.compare().await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn the_log_can_be_turned_up_and_never_holds_a_token() {
    let server = Site::new().start().await;
    let (status, body) = server.operate("POST", "/log", r#"{"level": "trace"}"#).await;
    assert_eq!((status, body.to_lowercase().contains("trace")), (200, true), "{body}");
    Client::enter(server.game, "anna").await.apply(grant("ore", 1)).await;
    let mut stranger = Client::open(server.game, Subprotocol::Json).await;
    stranger.hello("secret-token-of-somebody", None).await;
    stranger.expect_close(Close::Unauthorized).await;
    let log = server.log();
    assert!(log.contains("DEBUG") || log.contains("TRACE"), "{log}");
    assert!(!log.contains("secret-token") && !log.contains("dev:anna"), "a token is in the log");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let site = Site::new()
        .knob("auth.mode", "jwt")
        .knob("auth.key_file", key_file("hs256.secret").display())
        .knob("auth.audience", "the-game")
        .knob("auth.leeway_seconds", 0)
        .knob("log.level", "trace");
    let server = site.start().await;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let token = |exp: u64| {
        let claims = serde_json::json!({"sub": "anna", "aud": "the-game", "exp": exp});
        sign_as(jsonwebtoken::Algorithm::HS256, &claims)
    };
    let mut anna = Client::open(server.game, Subprotocol::Json).await;
    anna.hello(&token(now + 3), None).await;
    anna.expect_welcome().await;
    anna.expect_snapshot().await;
    let refused = anna.refuse(grant("ore", 1)).await;
    assert_eq!(refused.code, Code::UnknownAction, "nothing is granted where tokens are real");
    anna.expect_close(Close::TokenExpired).await;
    for bad in [token(now - 1), "dev:anna".to_owned()] {
        let mut anna = Client::open(server.game, Subprotocol::Json).await;
        anna.hello(&bad, None).await;
        anna.expect_close(Close::Unauthorized).await;
    }
    assert!(!server.log().contains(&token(now + 3)), "a token is in the log");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn past_the_bound_in_flight_reading_stops_and_every_request_is_answered() {
    let server = Site::new().knob("limits.in_flight_max", 1).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let last = anna.send_all((0..100).map(|_| grant("ore", 1))).await;
    for seq in 1..=last {
        assert!(matches!(anna.reply(seq).await, ServerMessage::Applied(_)));
    }
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}
