//! The settings: what an operator can turn, where each value came from, and what is wrong with it.
//!
//! Owns the table of knobs ([`Settings`] and its sections), their reading from defaults < file < environment < flags, the
//! manual that is shipped as `config/holdall.toml`, and [`Fault`], by which config files of every kind report what is
//! wrong. Called by `main`, and read by every room above. Never starts anything and holds no secret: secrets are named
//! by the path of their file.

pub mod document;
pub mod fault;
mod kinds;
mod live;
mod load;
mod manual;
mod realm;
mod relations;
pub mod setting;
mod table;

pub use fault::{Fault, Faults};
pub use kinds::{Ack, Algorithm, KitLine, Level, LogFormat, SignIn, WebOrigin};
pub use live::Turned;
pub use load::{Flag, Loaded, Origin, Sources};
pub use manual::manual;
pub use realm::{RealmName, StoreUrl};
pub use table::{
    Auth, CatalogFile, Equipment, Inventory, KNOBS, Knob, Limits, Log, NewPlayer, Server, Settings, Store,
};
