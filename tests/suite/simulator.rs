//! The client simulator: its checker finds every planted fault and accuses no honest server, and its bots play.

mod books;
mod commands;
mod kills;
mod mirror;
mod page;
mod plays;
mod production;
mod reloads;
mod requirements;
mod scenarios;
mod scene;
mod shop;
mod trades;
mod verdicts;
