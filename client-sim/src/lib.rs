//! Holdall's client simulator as a library: the one checker of a server's promises, and the bots that play against it.
//!
//! `checker` (with `model`, `expect` and `conservation`) is pure and judges messages wherever they come from; `scenario`
//! plays with thousands of bots over real sockets; `compare` measures what a server costs. Knows the protocol only, never the server's code.

mod abuse;
mod bot;
mod busy;
mod catalogue;
pub mod checker;
pub mod compare;
pub mod conservation;
pub mod duration;
pub mod echo;
pub mod expect;
pub mod fault;
mod goods;
pub mod html;
mod metrics;
pub mod mix;
pub mod model;
pub mod operator;
pub mod preset;
pub mod process;
pub mod report;
pub mod require;
pub mod scenario;
pub mod series;
mod shopper;
mod socket;
pub mod strain;
mod stream;
mod tls;
pub mod token;
mod top_up;
pub mod trader;
pub mod url;
mod workload;

pub use report::Report;
pub use scenario::{Options, run};
pub use socket::knock;
