//! The control socket: for the data directory's owner alone, and there whenever a server is.

use holdall_harness::{
    child::Site,
    client::{Client, grant},
    command::holdall,
    server::{self, TempDir},
};
use holdall_server::{
    operator::{self, client, control::Control},
    telemetry::readiness::Readiness,
};
use serde_json::Value;
use std::{
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
};
use tokio::sync::watch;

fn is_its_owners_alone(socket: &Path) {
    let about = socket.metadata().expect("the socket is there");
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn it_is_its_owners_alone_and_what_only_it_answers_is_on_no_port() {
    let site = Site::new();
    let server = site.start().await;
    let socket = site.dir().join("data/control.sock");
    is_its_owners_alone(&socket);
    Client::enter(server.game, "anna").await.apply(grant("ore", 1)).await;
    let (status, body) = server.operate("POST", "/v1/verify", "").await;
    assert_eq!(status, 404, "the port has no such route: {body}");
    let path = "/v1/players/anna/stored";
    let mut client = client::Client::connect(&site.dir().join("data")).await.expect("the server listens");
    assert_eq!(client.get::<Value>(path).await.expect("an answer")["revision"], 2);
    let ready: Value = client.get("/readyz").await.expect("the port's routes are here too");
    assert_eq!(ready["ready"], true);
    drop(client);
    assert_eq!(server.stop().await, Some(0));
    assert!(!socket.exists(), "it goes with its server");
}

#[tokio::test]
async fn the_one_of_a_dead_server_is_replaced() {
    let site = Site::new();
    let server = site.start().await;
    Client::enter(server.game, "anna").await.apply(grant("ore", 1)).await;
    server.kill().await;
    let socket = site.dir().join("data/control.sock");
    assert!(socket.exists(), "nobody took it away");
    let command = ["inspect", "anna", "--data-dir", "data", "--json"];
    assert_eq!(holdall(site.dir(), &command).await.json()["revision"], 2, "a command is not misled by it");
    let server = site.start().await;
    is_its_owners_alone(&socket);
    assert_eq!(holdall(site.dir(), &command).await.json()["revision"], 2);
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_directory_without_a_server_that_is_in_use_says_so() {
    let site = Site::new();
    assert_eq!(site.start().await.stop().await, Some(0));
    let lock = std::fs::File::open(site.dir().join("data/node")).expect("the node's file");
    lock.lock().expect("nobody has it");
    holdall(site.dir(), &["inspect", "anna", "--data-dir", "data"])
        .await
        .expect(3, &["in use", "control socket", "try again"]);
}

#[tokio::test]
async fn it_may_lie_deeper_than_the_address_of_a_socket_is_long() {
    let dir = TempDir::new();
    let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).expect("a directory");
    let bound = operator::bind_socket(&deep).expect("it listens");
    let (stop, stopped) = watch::channel(false);
    let readiness = Arc::new(Readiness::starting("memory", Box::new(|| "nothing".to_owned())));
    let operator = server::operator(readiness, dir.path());
    let control = Control { roster: operator.roster.clone(), stopped: stopped.clone() };
    let served = tokio::spawn(bound.run(operator, control, stopped));
    is_its_owners_alone(&deep.join("control.sock"));
    let mut client = client::Client::connect(&deep).await.expect("it can be reached");
    let refused = client.get::<Value>("/v1/players/nobody/stored").await.expect_err("nobody is there");
    assert!(refused.to_string().contains("no player nobody"), "{refused}");
    stop.send_replace(true);
    served.await.expect("it stops");
    assert!(!deep.join("control.sock").exists());
}
