//! The client simulator: its checker finds every planted fault and accuses no honest server, its bots play, and it compares.

mod books;
mod compare;
mod kills;
mod mirror;
mod plays;
mod reloads;
mod scene;
mod shop;
mod trades;
mod verdicts;
