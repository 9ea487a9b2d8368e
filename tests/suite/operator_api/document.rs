//! The description of the routes.

use super::operations;
use holdall_harness::{
    http::Asker,
    server::{self, TempDir},
};
use holdall_server::{operator, telemetry::readiness::Readiness};
use serde_json::Value;
use std::{path::Path, sync::Arc};
use tokio::sync::watch;

async fn asker() -> (Asker, watch::Sender<bool>) {
    let bound = operator::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let readiness = Arc::new(Readiness::starting("memory", Box::new(|| "nothing".to_owned())));
    let asker = Asker { addr: bound.addr, key: None };
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(bound.run(server::operator(readiness, TempDir::new().path()), stopped));
    (asker, stop)
}

/// `HOLDALL_WRITE_GOLDEN=1 cargo test -p holdall-tests --test suite -- the_document_is` writes the file anew.
#[tokio::test]
async fn the_document_is_the_one_in_the_repository() {
    let (asker, _stop) = asker().await;
    let (status, document) = asker.ask("GET", "/openapi.json", &[], "").await;
    assert_eq!(status, 200);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/openapi.json");
    if std::env::var_os("HOLDALL_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, &document).expect("the golden file");
    }
    let golden = std::fs::read_to_string(&file).expect("the golden file");
    assert!(document == golden, "the routes are described otherwise than in tests/golden/openapi.json: look at why");
}

#[tokio::test]
async fn every_answer_is_described() {
    let (asker, _stop) = asker().await;
    let document = asker.get("/openapi.json").await;
    assert!(operations(&document).len() > 20, "the routes are there");
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, about) in item.as_object().expect("methods") {
            assert!(about["summary"].as_str().is_some_and(|words| !words.is_empty()), "{method} {path} says nothing");
            for (status, answer) in about["responses"].as_object().expect("responses") {
                let words = answer["description"].as_str().unwrap_or_default();
                assert!(!words.is_empty(), "{method} {path} does not say what {status} is");
                let schema = &answer["content"]["application/json"]["schema"]["$ref"];
                let is_failure = !status.starts_with('2') && path != "/readyz";
                assert_eq!(schema == "#/components/schemas/Failure", is_failure, "{method} {path} {status}: {schema}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_that_is_named_is_missing() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let (asker, _stop) = asker().await;
    let document = asker.get("/openapi.json").await;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a place in the same document");
        assert!(document.pointer(pointer).is_some(), "{reference} is nowhere");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_outside() {
    let (asker, _stop) = asker().await;
    let (status, page) = asker.ask("GET", "/docs", &[], "").await;
    assert_eq!(status, 200);
    assert!(page.contains("fetch(\"openapi.json\")"), "it shows the document that lies beside it");
    assert!(!page.contains("://") && !page.contains("src=") && !page.contains("@import"), "and nothing else");
}
