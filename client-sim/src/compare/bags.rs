//! Whether the size of a bag matters: players with few stacks and players with many, in turns on one server.

use super::{
    Failure, Options,
    children::Site,
    measure::{Pace, enter, measure},
    report::Figures,
    target::Target,
};
use serde::Serialize;

/// Stacks of a small bag.
pub(super) const SMALL: u16 = 10;

/// Stacks of a large one.
pub(super) const LARGE: u16 = 1_000;

const PLAYERS: usize = 64;
const DEPTH: usize = 8;

/// What was found, 64 players with eight requests in flight each.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bags {
    /// Players with 10 stacks.
    pub small: Figures,
    /// Players with 1,000 stacks.
    pub large: Figures,
}

/// Measures a target.
pub(super) async fn bags(options: &Options, target: Target) -> Result<Bags, Failure> {
    let site = Site::start(options, target, LARGE + 100).await?;
    let players = options.at_most(PLAYERS);
    let small = enter(&site, target, "small", players, SMALL).await?;
    let large = enter(&site, target, "large", players, LARGE).await?;
    let (_small, small) = measure(options, &site, small, Pace::Depth(DEPTH)).await?;
    let (_, large) = measure(options, &site, large, Pace::Depth(DEPTH)).await?;
    Ok(Bags { small, large })
}
