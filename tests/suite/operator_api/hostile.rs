//! Whoever means harm: requests that nobody would make, and connections that only keep others out.

use super::{key, under};
use holdall_harness::{
    child::{Server, Site},
    client::Client,
    http::{Asker, heard},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Sends bytes as they are, and hears what is said to them.
async fn say(addr: SocketAddr, bytes: &[u8]) -> (u16, String) {
    let mut tcp = TcpStream::connect(addr).await.expect("the port listens");
    // It may have been answered before all of it was read.
    let _ = tcp.write_all(bytes).await;
    heard(tcp).await
}

/// The answer is a no in the one shape of all.
fn expect_failure(what: &str, (status, text): &(u16, String), expected: u16) {
    let said: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{what}: {status} {error}: {text:?}"));
    assert_eq!((*status, &said["status"]), (expected, &json!(expected)), "{what}: {text}");
    assert!(text.len() < 1_000, "{what}: it is told all that it said");
}

async fn an_operator() -> (Site, Server, Asker) {
    let site = Site::new();
    let server = site.start().await;
    let olga = server.asker(Some(&key(&site, "operate", "olga").await));
    drop(Client::enter(server.game, "anna").await);
    (site, server, olga)
}

#[tokio::test]
async fn strange_requests_are_refused_in_the_one_shape_and_change_nothing() {
    let (_site, server, olga) = an_operator().await;
    let bearer = format!("Authorization: Bearer {}\r\n", olga.key.as_deref().expect("a key"));
    let long = format!("/v1/players/{}", "a".repeat(60_000));
    for (method, path, status) in [
        ("GET", "//v1/players", 404),
        ("GET", "/v1/players/../players", 404),
        ("GET", "/v1/players/%2e%2e", 400),
        ("GET", "/v1/players/anna%2Fstats", 400),
        ("GET", "/v1/players/anna%00", 400),
        ("GET", "/v1/players/%ff", 400),
        ("GET", &long, 400),
        ("GET", "/V1/players", 404),
        ("GET", "/v1/players?mark=a&mark=b", 400),
        ("GET", "/v1/players?what=1", 400),
        ("GET", "/v1/players/anna/history?limit=99999999999999999999", 400),
        ("GET", "/v1/players/anna/history?revision=9223372036854775808", 400),
        ("GET", "/api/reservations/%F0%9F%92%A9", 404),
        ("OPTIONS", "*", 404),
        ("CONNECT", "anywhere:1", 404),
        ("TRACE", "/healthz", 405),
        ("DELETE", "/v1/players/anna", 405),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{bearer}Connection: close\r\n\r\n");
        expect_failure(path.get(..40).unwrap_or(path), &say(server.operator, request.as_bytes()).await, status);
    }
    for (what, body, status) in [
        ("deep", "[".repeat(60_000), 400),
        (
            "deep in a field",
            format!("{}\"attributes\":{}", r#"{"item":"ore","quantity":1,"#, "{\"a\":".repeat(9_000)),
            400,
        ),
        ("a field twice", r#"{"item":"ore","item":"gold","quantity":1,"reason":"x","key":"k"}"#.to_owned(), 400),
        ("a list of fields", r#"["ore",1,null,false,"x","k"]"#.to_owned(), 400),
        ("something behind", r#"{"item":"ore","quantity":1,"reason":"x","key":"k"} {}"#.to_owned(), 400),
        ("half a character", r#"{"item":"ore","quantity":1,"reason":"\ud800","key":"k"}"#.to_owned(), 400),
        ("digits", format!(r#"{{"item":"ore","quantity":{},"reason":"x","key":"k"}}"#, "9".repeat(400)), 400),
        ("a long name", json!({"item": "a".repeat(60_000), "quantity": 1, "reason": "x", "key": "k"}).to_string(), 400),
        ("nothing", String::new(), 400),
    ] {
        expect_failure(what, &olga.ask("POST", "/v1/players/anna/grant", &[], &body).await, status);
    }
    let good = json!({"item": "ore", "quantity": 1, "reason": "x"}).to_string();
    for (what, headers, status) in [
        ("two idempotency keys", vec![("Idempotency-Key", "a"), ("Idempotency-Key", "b")], 400),
        ("one that could be a player's", vec![("Idempotency-Key", "anna:1")], 400),
        ("two API keys", vec![("Idempotency-Key", "a"), ("Authorization", "Bearer holdall_0")], 401),
    ] {
        expect_failure(what, &olga.ask("POST", "/v1/players/anna/grant", &headers, &good).await, status);
    }
    assert_eq!(olga.get("/v1/players/anna").await["revision"], 1, "nothing was changed by any of it");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_waited_for() {
    let (_site, server, olga) = an_operator().await;
    let head = format!(
        "POST /log HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {}\r\n",
        olga.key.as_deref().expect("a key")
    );
    let announced = format!("{head}Content-Length: 999999999999\r\n\r\n");
    expect_failure("announced", &say(server.operator, announced.as_bytes()).await, 413);
    let endless =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", format!("1000\r\n{}\r\n", "a".repeat(4_096)).repeat(20));
    expect_failure("without an end", &say(server.operator, endless.as_bytes()).await, 413);
    assert_eq!(server.stop().await, Some(0));
}

/// A web page that is open in a browser on the server's machine can reach the port, too.
#[tokio::test]
async fn no_web_page_can_use_a_server_that_asks_for_no_key() {
    let site = Site::new();
    let server = site.start().await;
    let ask = async |headers: &str| {
        let request = format!("GET /v1/players HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        say(server.operator, request.as_bytes()).await
    };
    for headers in [
        "Host: evil.example\r\n",
        "Host: localhost.evil.example:7780\r\n",
        "Host: \r\n",
        "Host: localhost\r\nOrigin: https://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
    ] {
        expect_failure(headers, &ask(headers).await, 401);
    }
    for headers in
        ["Host: localhost:7780\r\n", "Host: 127.0.0.1\r\n", "Host: [::1]:7780\r\nOrigin: http://127.0.0.1:1\r\n"]
    {
        assert_eq!(ask(headers).await.0, 200, "{headers}");
    }
    let rita = key(&site, "read", "rita").await;
    assert_eq!(ask(&format!("Host: ops.example\r\nAuthorization: Bearer {rita}\r\n")).await.0, 200, "a key is enough");
    assert_eq!(server.stop().await, Some(0));
}

/// Connections that say nothing.
const SILENT: usize = 300;
/// A guard against hangs, shorter than the time in which a silent connection is closed anyway.
const AT_ONCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let (_site, server, olga) = an_operator().await;
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(TcpStream::connect(server.operator).await.expect("the port listens"));
    }
    let answer = timeout(AT_ONCE, olga.ask("GET", "/v1/players", &[], "")).await.expect("an answer at once");
    assert_eq!(answer.0, 200, "{}", answer.1);
    assert_eq!(silent[0].read(&mut [0]).await.ok(), Some(0), "the one that waited longest made way");
    let newest = silent.last_mut().expect("some");
    newest.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is still open");
    assert!(newest.read(&mut [0; 1_024]).await.is_ok_and(|bytes| bytes > 0), "and is answered");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn connections_that_never_read_keep_nobody_out() {
    let (_site, server, olga) = an_operator().await;
    let asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(8);
    let mut deaf = Vec::new();
    for _ in 0..140 {
        let socket = TcpSocket::new_v4().expect("a socket");
        // The answers must not fit.
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        let mut tcp = socket.connect(server.operator).await.expect("the port listens");
        tcp.write_all(&asked).await.expect("it is read");
        deaf.push(tcp);
    }
    let grant = under("1", json!({"item": "ore", "quantity": 1}));
    let done = timeout(AT_ONCE, olga.done("/v1/players/anna/grant", &grant)).await.expect("an answer at once");
    assert_eq!(done["revision"], 2);
    assert_eq!(server.stop().await, Some(0));
}
