//! Sign-in that must not work, against a server that wants signed tokens.

use crate::sign_in::{base64url, key_file, sign_as};
use holdall_harness::{
    raw::{Heard, Raw, hello},
    server::{Server, TempDir},
};
use holdall_protocol::{
    close::Close,
    frame::Subprotocol,
    message::{ClientMessage, Hello, ServerMessage},
};
use holdall_server::{app::Stopped, config};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

async fn start(dir: &TempDir) -> Server {
    Server::start(dir.path(), |settings| {
        settings.auth.mode = config::SignIn::Jwt;
        settings.auth.algorithm = config::Algorithm::EdDsa;
        settings.auth.key_file = Some(key_file("ed25519.public.pem"));
        settings.auth.audience = "the-game".into();
    })
    .await
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims(sub: &str) -> Value {
    json!({"sub": sub, "aud": "the-game", "exp": now() + 600})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims("anna");
    claims[name] = value;
    claims
}

async fn welcome(server: &Server, subprotocol: Subprotocol, token: &str) -> Raw {
    let mut raw = Raw::open(server.game, subprotocol).await;
    raw.send(&hello(token)).await;
    assert!(matches!(raw.message().await, ServerMessage::Welcome(_)));
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_token_is_unauthorized_and_says_why() {
    let dir = TempDir::new();
    let server = start(&dir).await;
    let sign = |claims: &Value| sign_as(Algorithm::EdDSA, claims);
    let anna = welcome(&server, Subprotocol::Json, &sign(&claims("anna"))).await;
    let mut without_exp = claims("anna");
    without_exp.as_object_mut().unwrap().remove("exp");
    let none = format!("{}.{}.", base64url(r#"{"alg":"none"}"#), base64url(&claims("anna").to_string()));
    for (name, token, word) in [
        ("alg none", none, "EdDSA"),
        ("the wrong algorithm", sign_as(Algorithm::HS256, &claims("anna")), "EdDSA"),
        ("no exp", sign(&without_exp), "`exp`"),
        ("expired", sign(&with("exp", json!(now() - 60))), "expired"),
        ("the wrong aud", sign(&with("aud", json!("elsewhere"))), "`aud`"),
        ("a bad player id", sign(&with("sub", json!("../anna"))), "1 to 64 characters"),
        ("a development token", "dev:anna".to_owned(), "development sign-in is off"),
        ("12 KB", "x".repeat(12_000), "8192 bytes"),
        ("nothing", String::new(), "JSON Web Token"),
    ] {
        for subprotocol in Subprotocol::ALL {
            let mut raw = Raw::open(server.game, subprotocol).await;
            raw.send(&hello(&token)).await;
            match raw.end().await {
                Heard::Close(Close::Unauthorized, reason) => assert!(reason.contains(word), "{name}: {reason}"),
                end => panic!("{name} should be unauthorized, but: {end:?}"),
            }
        }
    }
    let mut raw = Raw::open(server.game, Subprotocol::Json).await;
    raw.send(&hello(&"x".repeat(1 << 20))).await;
    assert!(matches!(raw.end().await, Heard::Close(Close::FrameTooLarge, _)), "1 MiB");

    let mut raw = Raw::open(server.game, Subprotocol::Json).await;
    raw.payload(br#"{"hello":{"token":["a"]}}"#).await;
    assert!(matches!(raw.end().await, Heard::Close(Close::ProtocolError, _)), "a list for a token");
    drop(anna);
    assert_eq!(server.stop().await, Stopped::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_its_token_and_powers_of_development_are_gone() {
    let dir = TempDir::new();
    let server = start(&dir).await;
    let token = sign_as(Algorithm::EdDSA, &with("exp", json!(now() - 3)));
    let mut raw = Raw::open(server.game, Subprotocol::Json).await;
    let said = Hello { token, resume: None, client: Some("x".repeat(5_000)) };
    raw.send(&ClientMessage::Hello(said)).await;
    assert!(matches!(raw.message().await, ServerMessage::Welcome(_)));
    raw.payload(br#"{"seq":1,"action":{"dev_grant":{"item":"gold","quantity":5}}}"#).await;
    let refused = loop {
        match raw.message().await {
            ServerMessage::Refused(refused) => break refused,
            ServerMessage::Snapshot(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused.code, holdall_protocol::code::Code::UnknownAction);
    assert!(matches!(raw.end().await, Heard::Close(Close::TokenExpired, _)));
    assert_eq!(server.stop().await, Stopped::Clean);
}
