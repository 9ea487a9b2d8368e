//! The operator port alone: health, readiness, and what every wrong request hears.

use holdall_harness::{
    http::Asker,
    server::{self, TempDir},
};
use holdall_server::{operator, telemetry::readiness::Readiness};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};

async fn start() -> (SocketAddr, Arc<Readiness>, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
    let bound = operator::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = bound.addr;
    let readiness =
        Arc::new(Readiness::starting("embedded", Box::new(|| "every acknowledged change survives".to_owned())));
    let (stop, stopped) = watch::channel(false);
    let operator = server::operator(readiness.clone(), TempDir::new().path());
    (addr, readiness, stop, tokio::spawn(bound.run(operator, stopped)))
}

async fn ask(addr: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    Asker { addr, key: None }.ask(method, path, &[], body).await
}

#[tokio::test]
async fn alive_from_the_start_and_ready_once_nothing_stands_against_it() {
    let (addr, readiness, _stop, _task) = start().await;
    assert_eq!(ask(addr, "GET", "/healthz", "").await, (200, "ok".to_owned()));
    let (status, body) = ask(addr, "GET", "/readyz", "").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["ready"]), (503, &json!(false)));
    assert_eq!(body["reasons"], json!(["starting: the server has not finished starting"]));

    readiness.unblock("starting");
    let (status, body) = ask(addr, "GET", "/readyz", "").await;
    let expected = json!({
        "ready": true, "reasons": [], "store": "embedded", "durability": "every acknowledged change survives"
    });
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (200, expected));

    readiness.block("store", "the disk is full");
    let (status, body) = ask(addr, "GET", "/readyz", "").await;
    assert!(status == 503 && body.contains("store: the disk is full"), "{status} {body}");
    assert_eq!(ask(addr, "GET", "/healthz", "").await.0, 200, "alive all the same");
}

#[tokio::test]
async fn a_wrong_request_gets_the_one_error_shape() {
    let (addr, _readiness, _stop, _task) = start().await;
    for (method, path, body, status, code) in [
        ("GET", "/ws", "", 404, "not_found"),
        ("POST", "/healthz", "", 405, "method_not_allowed"),
        ("POST", "/log", "{", 400, "bad_request"),
        ("POST", "/log", r#"{"level": "loud"}"#, 400, "bad_request"),
    ] {
        let (got, text) = ask(addr, method, path, body).await;
        let answer: Value = serde_json::from_str(&text).expect(&text);
        assert_eq!((got, &answer["status"], &answer["code"]), (status, &json!(status), &json!(code)), "{path}: {text}");
        assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{text}");
    }
}

#[tokio::test]
async fn it_stops_when_told_though_a_connection_is_kept_alive() {
    let (addr, _, stop, task) = start().await;
    let mut idle = TcpStream::connect(addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 1_024]).await.unwrap() > 0);
    stop.send_replace(true);
    timeout(Duration::from_secs(10), task).await.expect("it stops").unwrap();
    assert!(TcpStream::connect(addr).await.is_err(), "the port is closed");
}
