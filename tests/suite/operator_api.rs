//! The operator API over real HTTP: who may ask, what is answered, and that every order is carried out once.

mod crashes;
mod document;
mod hostile;
mod keys;
mod orders;
mod shop;

use holdall_harness::{child::Site, command::holdall};
use serde_json::{Value, json};

/// Makes a key, as an operator does.
pub(crate) async fn key(site: &Site, role: &str, name: &str) -> String {
    let arguments = ["key", "create", "--role", role, "--name", name, "--data-dir", "data"];
    let said = holdall(site.dir(), &arguments).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out.trim().to_owned()
}

/// The body of an order under a key.
fn under(key: &str, mut body: Value) -> Value {
    body["key"] = json!(key);
    body["reason"] = json!("ticket 4711");
    body
}

/// Every operation of the document: its method and a path to try it by.
fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |(path, item): (&String, &Value)| -> Vec<(String, String)> {
        let path = path.replace("{player}", "anna").replace("{item}", "ore").replace("{sku}", "s").replace("{id}", "i");
        let item = item.as_object().expect("methods");
        item.keys().map(|method| (method.to_uppercase(), path.clone())).collect()
    };
    paths.iter().flat_map(methods).collect()
}
