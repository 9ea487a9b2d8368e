//! The client simulator: its checker finds every planted fault and accuses no honest server, and its bots play.

mod books;
mod kills;
mod mirror;
mod plays;
mod reloads;
mod scene;
mod shop;
mod trades;
mod verdicts;
