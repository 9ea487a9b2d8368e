//! The client simulator: its checker finds every planted fault and accuses no honest server, its bots play, and it compares.

mod books;
mod commands;
mod compare;
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
mod tls;
mod trades;
mod verdicts;
