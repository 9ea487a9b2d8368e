//! Settings and catalogue read again while a server runs: whole or not at all, and everybody is told.

mod files;
mod limits;
mod load;
mod players;
mod shop;

use holdall_harness::{
    child::{Server, Site},
    command::{Said, holdall},
};
use serde_json::Value;

/// A currency, and what players carry: as much of each as `items.toml` says.
const ITEMS: &str = r#"
[[item]]
id = "gold"
name = "Gold"
kind = "currency"

[[item]]
id = "ore"
name = "Ore"
kind = "material"
max_stack = 50
weight = 2
base_value = 3

[[item]]
id = "bread"
name = "Bread"
kind = "consumable"
max_stack = 20
weight = 1
base_value = 1

[[item]]
id = "iron_sword"
name = "Iron Sword"
kind = "weapon"
weight = 4
base_value = 10
slots = ["main_hand"]
"#;

/// The catalogue without one of its items.
fn without(id: &str) -> String {
    let parts = ITEMS.split("[[item]]").filter(|part| !part.contains(&format!("id = \"{id}\"")));
    parts.collect::<Vec<_>>().join("[[item]]")
}

/// The catalogue with something said otherwise.
fn with(words: &str, instead: &str) -> String {
    assert!(ITEMS.contains(words), "{words}");
    ITEMS.replace(words, instead)
}

/// A site whose settings and catalogue are files of its own.
struct Files(Site);

impl Files {
    /// With these lines of settings.
    fn new(config: &str) -> Self {
        let site = Site::new().flag("--config=holdall.toml").leave("catalog.items_file");
        let files = Self(site);
        files.items(ITEMS);
        files.config(config);
        files
    }

    /// Leaves a knob to the config file.
    fn leave(self, path: &str) -> Self {
        Self(self.0.leave(path))
    }

    /// Expects such a line of the log.
    fn allow(self, text: &'static str) -> Self {
        Self(self.0.allow(text))
    }

    fn write(&self, name: &str, text: &str) {
        // In one go: a server that reads meanwhile finds either.
        let unfinished = self.0.dir().join("unfinished");
        std::fs::write(&unfinished, text).expect("a file of the test");
        std::fs::rename(unfinished, self.0.dir().join(name)).expect("a file of the test");
    }

    fn items(&self, text: &str) {
        self.write("items.toml", text);
    }

    fn config(&self, text: &str) {
        self.write("holdall.toml", text);
    }

    async fn start(&self) -> Server {
        self.0.start().await
    }

    async fn command(&self, arguments: &[&str]) -> Said {
        let all: Vec<&str> = ["reload"].iter().chain(arguments).copied().collect();
        holdall(self.0.dir(), &all).await
    }

    /// Reloads, and says what that has done.
    async fn reload(&self) -> Value {
        self.command(&["--data-dir=data", "--json"]).await.json()
    }

    /// What a reload would do.
    async fn look(&self) -> Value {
        self.command(&["--data-dir=data", "--json", "--dry-run"]).await.json()
    }
}
