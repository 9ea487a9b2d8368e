//! Keys: who may ask for what.

use super::{key, operations};
use holdall_harness::{child::Site, command::holdall};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

/// What everybody may ask for.
const OPEN: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"];

#[tokio::test]
async fn without_a_key_nobody_learns_what_there_is() {
    let site = Site::new();
    let server = site.start().await;
    let known = key(&site, "read", "rita").await;
    let document = server.asker(None).get("/openapi.json").await;
    let strangers =
        [("POST", "/v1/nothing"), ("GET", "/api/nothing"), ("GET", "/v1"), ("GET", "/nothing"), ("PUT", "/log")];
    let strangers = strangers.map(|(method, path)| (method.to_owned(), path.to_owned()));
    let almost = format!("{}0", &known[..known.len() - 1]);
    let wrong = if almost == known { format!("{}1", &known[..known.len() - 1]) } else { almost };
    let mut seen = None;
    for asker in [None, Some("holdall_"), Some(wrong.as_str()), Some("")] {
        for (method, path) in operations(&document).into_iter().chain(strangers.clone()) {
            let (status, body) = server.asker(asker).ask(&method, &path, &[], "{}").await;
            if OPEN.contains(&path.as_str()) {
                assert_eq!(status, 200, "{method} {path}: {body}");
            } else {
                assert_eq!(status, 401, "{method} {path}: {body}");
                assert_eq!(*seen.get_or_insert(body.clone()), body, "every stranger hears the same");
            }
        }
    }
    let refused: Value = serde_json::from_str(&seen.expect("something was refused")).expect("JSON");
    assert_eq!((&refused["status"], &refused["code"]), (&json!(401), &json!("unauthorized")));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_key_that_can_look_changes_nothing() {
    let site = Site::new();
    let server = site.start().await;
    let rita = server.asker(Some(&key(&site, "read", "rita").await));
    let mut writes = 0;
    for (method, path) in operations(&rita.get("/openapi.json").await) {
        let (status, body) = rita.ask(&method, &path, &[], "{}").await;
        if method == "GET" {
            assert!(status != 401 && status != 403, "{method} {path}: {body}");
        } else {
            assert_eq!(status, 403, "{method} {path}: {body}");
            writes += 1;
        }
    }
    assert!(writes > 10, "the walk met {writes} writes only");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_running_server_notices_what_becomes_of_keys() {
    let site = Site::new();
    let server = site.start().await;
    let keyless = server.asker(None);
    assert_eq!(keyless.get("/v1/players").await["players"], json!([]), "in development, before there is any key");
    let (olga, rita) = (key(&site, "operate", "olga").await, key(&site, "read", "rita").await);
    assert_eq!(keyless.ask("GET", "/v1/players", &[], "").await.0, 401, "and no longer, once there is one");
    server.asker(Some(&olga)).done("/log", &json!({"level": "trace"})).await;
    server.asker(Some(&rita)).get("/v1/players").await;

    let file = site.dir().join("data/operator-keys.json");
    assert_eq!(file.metadata().expect("the file is there").permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(&file).expect("the file");
    let log = server.log();
    assert!([&olga, &rita].iter().all(|key| !kept.contains(key.as_str()) && !log.contains(key.as_str())));
    holdall(site.dir(), &["key", "list", "--data-dir", "data"]).await.expect(0, &["olga", "operate", "rita", "read"]);

    holdall(site.dir(), &["key", "revoke", "rita", "--data-dir", "data"]).await.expect(0, &[]);
    assert_eq!(server.asker(Some(&rita)).ask("GET", "/v1/players", &[], "").await.0, 401);
    server.asker(Some(&olga)).get("/v1/players").await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn where_players_sign_in_with_tokens_there_is_no_way_in_without_a_key() {
    let site = Site::new();
    let secret = site.dir().join("jwt.key");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").expect("a secret");
    let site = site
        .knob("auth.mode", "jwt")
        .knob("auth.key_file", secret.display())
        .knob("auth.audience", "game")
        .knob("server.operator_keys_file", "elsewhere/keys.json");
    let server = site.start().await;
    assert_eq!(server.asker(None).ask("GET", "/v1/players", &[], "").await.0, 401);
    assert_eq!(server.asker(None).ask("GET", "/readyz", &[], "").await.0, 200);
    let inside =
        holdall_server::operator::keys::KeyFile::new(Some(&site.dir().join("elsewhere/keys.json")), site.dir());
    let olga = inside.create("olga", holdall_server::operator::keys::Role::Operate, 0).expect("a key");
    server.asker(Some(&olga)).get("/v1/players").await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_key_needs_a_name_of_its_own() {
    let site = Site::new();
    key(&site, "read", "rita").await;
    let create = |name: &'static str| ["key", "create", "--role", "read", "--name", name, "--data-dir", "data"];
    holdall(site.dir(), &create("rita")).await.expect(1, &["already", "rita"]);
    for name in ["", "cli", "development", "two words", "ü"] {
        holdall(site.dir(), &create(name)).await.expect(2, &["1 to 64 characters"]);
    }
    holdall(site.dir(), &["key", "revoke", "nobody", "--data-dir", "data"]).await.expect(1, &["no key named nobody"]);
    holdall(site.dir(), &["key", "create", "--role", "root", "--name", "x"]).await.expect(2, &["read", "operate"]);
    std::fs::write(site.dir().join("data/operator-keys.json"), "{").expect("a damaged file");
    holdall(site.dir(), &["key", "list", "--data-dir", "data"]).await.expect(3, &["operator-keys.json"]);
    let ended = site.start_in_vain(&[]).await;
    assert!(ended.code == Some(2) && ended.said.contains("operator-keys.json"), "{}", ended.said);
}
