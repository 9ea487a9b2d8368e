//! The files that a measured Holdall is started with: its settings and its items.
//!
//! Everything is as it is shipped, but for limits that would be in the way of a load, and stacks so large that no run uses
//! one up.

use super::target::Target;
use toml::{Table, Value};

/// The shipped items.
const SAMPLE: &str = include_str!("../../../config/items.toml");

/// Units in a full stack of anything that can be used up.
pub(super) const STACK: u64 = 1_000_000;

/// What players are given: things of the shipped catalogue that can be used up.
pub(super) const ITEMS: [&str; 5] = ["health_potion", "mana_potion", "bread", "smoked_fish", "torch"];

/// The shipped catalogue with large stacks.
pub(super) fn catalogue() -> String {
    let mut catalogue: Table = SAMPLE.parse().expect("the shipped catalogue is TOML");
    let items = catalogue.get_mut("item").and_then(Value::as_array_mut).expect("it lists items");
    for item in items.iter_mut().filter_map(Value::as_table_mut) {
        if item.get("kind").and_then(Value::as_str) == Some("consumable") {
            let stack = i64::try_from(STACK).expect("a small number");
            item.insert("max_stack".to_owned(), Value::Integer(stack));
        }
    }
    catalogue.to_string()
}

/// The settings of a server in a directory with that catalogue as `items.toml`, on a Redis or on its own file.
pub(super) fn settings(target: Target, redis: Option<&str>, slots: u16) -> String {
    let ack = target.ack().unwrap_or("durable");
    let url = redis.unwrap_or_default();
    // With replies at once, players are saved while they are measured, and not only after it.
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\noperator_listen = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\
         [catalog]\nitems_file = \"items.toml\"\n\
         [inventory]\nmax_slots = {slots}\n\
         [new_player]\nkit = []\n\
         [store]\nurl = \"{url}\"\nack = \"{ack}\"\nautosave_interval_ms = 1000\n\
         [limits]\nactions_per_second = 1000000\nactions_burst = 1000000\n\
         [log]\nlevel = \"warn\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_players_are_given_is_in_the_catalogue_in_large_stacks() {
        let catalogue: Table = catalogue().parse().expect("it is TOML still");
        let items = catalogue["item"].as_array().expect("it lists items");
        for id in ITEMS {
            let item = items.iter().find(|item| item["id"].as_str() == Some(id)).expect("it is shipped");
            assert_eq!(item["max_stack"].as_integer(), Some(1_000_000), "{id}");
            assert_eq!(item["kind"].as_str(), Some("consumable"), "{id}");
        }
    }
}
