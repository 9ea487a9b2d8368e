//! What operators do to the catalogue leaves every store in order: other ids, and content steps.

use super::said;
use crate::inbox::{site, until_gone, was_here};
use holdall_harness::{
    child::{Server, Site},
    client::{Client, gift, grant},
    command::holdall,
};
use std::{fs, path::Path};

const GOLD: &str = r#"[[item]]
id = "gold"
name = "gold"
description = "gold"
kind = "currency"
base_value = 1
icon_url = "https://assets.example.com/gold.png"
"#;

/// A catalogue of stackable materials, and gold.
fn catalogue(site: &mut Site, items: &[(&str, &str)]) {
    let item = |(id, more): &(&str, &str)| {
        format!(
            "[[item]]\nid = \"{id}\"\nname = \"{id}\"\ndescription = \"{id}\"\nkind = \"material\"\nmax_stack = 99\nweight = 1\n\
             base_value = 1\nicon_url = \"https://assets.example.com/{id}.png\"\n{more}\n"
        )
    };
    let file = site.dir().join("items.toml");
    fs::write(&file, items.iter().map(item).collect::<String>() + GOLD).expect("a file");
    site.turn("catalog.items_file", file.display());
}

async fn is_in_order(site: &Site) {
    let verified = said(&holdall(site.dir(), &["verify", "--data-dir", "data", "--json"]).await);
    assert_eq!(verified.faults, []);
}

async fn start(site: &mut Site, items: &[(&str, &str)]) -> Server {
    catalogue(site, items);
    site.start().await
}

#[tokio::test]
async fn a_stack_that_arrives_on_one_under_an_older_id() {
    let mut site = site();
    let server = start(&mut site, &[("ore", "")]).await;
    for player in ["bert", "cara"] {
        Client::enter(server.game, player).await.apply(grant("ore", 10)).await;
    }
    assert_eq!(server.stop().await, Some(0));

    let server = start(&mut site, &[("iron", "renamed_from = [\"ore\"]")]).await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("iron", 30)).await;
    let iron = anna.stack("iron").1.instance;
    let bert = Client::enter(server.game, "bert").await;
    anna.apply(gift("bert", iron, 4)).await;
    anna.apply(gift("cara", iron, 5)).await;
    let mut cara = Client::enter(server.game, "cara").await;
    cara.until_revision(3).await;
    assert_eq!(cara.count("ore"), 15, "it took on the older id");
    drop(bert);
    assert_eq!(server.stop().await, Some(0));
    is_in_order(&site).await;
}

/// The steps in a file of their own.
fn steps(site: &mut Site, dir: &Path, step: &str) {
    let file = dir.join("migrations.toml");
    fs::write(&file, format!("[[step]]\nnumber = 1\n{step}\n")).expect("a file");
    site.turn("catalog.migrations_file", file.display());
}

#[tokio::test]
async fn a_gift_that_content_steps_turn_into_something_else_while_it_waits() {
    let mut site = site();
    let server = start(&mut site, &[("ore", ""), ("coal", "")]).await;
    was_here(&site, &server, "cara").await;
    was_here(&site, &server, "dora").await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 30)).await;
    anna.apply(grant("coal", 30)).await;
    let (ore, coal) = (anna.stack("ore").1.instance, anna.stack("coal").1.instance);
    anna.apply(gift("cara", ore, 7)).await;
    anna.apply(gift("cara", coal, 2)).await;
    anna.apply(gift("dora", ore, 3)).await;
    assert_eq!(server.stop().await, Some(0));

    let dir = site.dir().to_owned();
    steps(&mut site, &dir, "merge = { from = [\"ore\"], to = \"coal\" }");
    let server = start(&mut site, &[("coal", "")]).await;
    let mut cara = Client::enter(server.game, "cara").await;
    cara.until_revision(3).await;
    assert_eq!(cara.count("coal"), 9);
    drop(Client::enter(server.game, "anna").await);
    until_gone(&site, "anna").await;
    assert_eq!(server.stop().await, Some(0));
    is_in_order(&site).await;
}
