//! Limits that change while players play: they take hold of whoever is there, and the order of the sources stays.

use super::Files;
use holdall_harness::{
    child::PATIENCE,
    client::{Client, grant, stats},
};
use holdall_protocol::{close::Close, code::Code, message::ServerMessage};
use serde_json::json;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

#[tokio::test]
async fn they_take_hold_of_players_who_are_in_the_game() {
    let slow = "[limits]\nactions_per_second = 1\nactions_burst = 2\nexcess_max = 3\n";
    let files = Files::new(slow).leave("limits.actions_per_second").leave("limits.actions_burst");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let hasty = async |client: &mut Client| {
        let last = client.send_all((0..40).map(|_| stats())).await;
        let mut refused = 0;
        loop {
            let reply = client.any_reply().await;
            refused += u32::from(matches!(&reply, ServerMessage::Refused(no) if no.code == Code::RateLimited));
            if holdall_harness::client::seq_of(&reply) == Some(last) {
                return refused;
            }
        }
    };
    files.config("[limits]\nactions_per_second = 1000\nactions_burst = 100\nidle_timeout_ms = 90_000\n");
    files.reload().await;
    let told = anna.until_reloaded(2).await;
    assert_eq!((told.limits.actions_per_second, told.limits.actions_burst), (1_000, 100));
    assert_eq!((told.limits.idle_seconds, &told.catalog.hash), (90, &anna.welcome().catalog.hash));
    assert_eq!(hasty(&mut anna).await, 0, "a hundred at once");
    files.config(slow);
    files.reload().await;
    anna.until_reloaded(3).await;
    anna.send_all((0..40).map(|_| stats())).await;
    anna.expect_close(Close::RateLimited).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_smaller_bag_takes_nothing_from_who_has_more() {
    let files = Files::new("[inventory]\nmax_weight = 1000\n");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("iron_sword", 3)).await;
    files.config("[inventory]\nmax_slots = 2\nmax_weight = 5\n");
    files.reload().await;
    let told = anna.until_reloaded(2).await;
    assert_eq!((told.limits.max_slots, told.limits.max_weight, told.frozen), (2, 5_000, Vec::new()));
    assert_eq!(anna.count("iron_sword"), 3);
    let code = anna.refuse(grant("ore", 1)).await.code;
    assert!(matches!(code, Code::InventoryFull | Code::WeightExceeded), "{code}");
    anna.apply(holdall_harness::client::drop_item("iron_sword", 2)).await;
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_the_environment_or_a_flag_says_stands_above_the_file() {
    let files = Files::new("");
    let server = files.start().await;
    // The site sets both in the environment.
    files.config("[limits]\nactions_per_second = 7\nactions_burst = 7\n");
    assert_eq!(files.reload().await["knobs"], json!([]));
    files.config("[limits]\nactions_per_second = 7\nin_flight_max = 7\n");
    let report = files.reload().await;
    assert_eq!(report["knobs"], json!([{"knob": "limits.in_flight_max", "before": "64", "after": "7"}]));
    let anna = Client::enter(server.game, "anna").await;
    let limits = &anna.welcome().limits;
    assert_eq!((limits.actions_per_second, limits.in_flight_max), (100_000, 7));
    assert_eq!(server.stop().await, Some(0));
}

/// The status that a handshake is answered with.
async fn knock(game: SocketAddr) -> (TcpStream, String) {
    let mut tcp = TcpStream::connect(game).await.expect("the server listens");
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: holdall.v1.json\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.expect("the server reads");
    let mut head = [0; 12];
    timeout(PATIENCE, tcp.read_exact(&mut head)).await.expect("an answer in time").expect("an answer");
    (tcp, String::from_utf8_lossy(&head).into_owned())
}

#[tokio::test]
async fn more_may_come_in_from_now_on() {
    let files = Files::new("[limits]\nconnections_max = 1\n").leave("limits.connections_max");
    let server = files.start().await;
    let (_first, status) = knock(server.game).await;
    assert_eq!(status, "HTTP/1.1 101");
    assert_eq!(knock(server.game).await.1, "HTTP/1.1 503");
    files.config("[limits]\nconnections_max = 2\n");
    files.reload().await;
    let (_second, status) = knock(server.game).await;
    assert_eq!(status, "HTTP/1.1 101");
    assert_eq!(knock(server.game).await.1, "HTTP/1.1 503");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn the_level_of_the_log_follows_the_settings() {
    let files = Files::new("");
    let server = files.start().await;
    files.config("[log]\nlevel = \"debug\"\n");
    files.reload().await;
    let _anna = Client::enter(server.game, "anna").await;
    server.logs("joined").await;
    // What was set by hand stays while the settings stay as they are.
    assert_eq!(server.operate("POST", "/log", r#"{"level": "info"}"#).await.0, 200);
    files.config("[log]\nlevel = \"debug\"\n[limits]\nin_flight_max = 7\n");
    files.reload().await;
    let before = server.log();
    let _bert = Client::enter(server.game, "bert").await;
    let after = server.log();
    assert!(!after.strip_prefix(&before).expect("a log only grows").contains("DEBUG"), "{after}");
    assert_eq!(server.stop().await, Some(0));
}
