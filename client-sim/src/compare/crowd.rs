//! Many players who do nothing: how long they take to come in and to come back, and what they weigh.
//!
//! They are born first, and the server is started again, so that everybody is loaded from the store and nothing of their
//! birth weighs.

use super::{
    Failure, Options,
    children::Site,
    measure::{STACKS, enter},
    player::{Entry, for_each},
    target::Target,
};
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How many there are.
const PLAYERS: usize = 5_000;

/// How long they stand still before they are weighed.
const IDLE: Duration = Duration::from_secs(2);

/// How long a server is given to notice that everybody is gone.
const GONE: Duration = Duration::from_millis(500);

/// What was found.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Crowd {
    /// How many players there were, with 50 stacks each.
    pub players: usize,
    /// Seconds from the first connection until all were in the game, loaded from the store, each with its snapshot.
    pub login_s: f64,
    /// CPU time of the server meanwhile, over the players, in microseconds.
    pub login_cpu_us: f64,
    /// The server's resident memory with them in the game and idle, less than before they came, over the players.
    pub rss_bytes_per_player: f64,
    /// Seconds from the first connection until all whose connections had been cut were back in the game.
    pub resume_s: f64,
    /// CPU time of the server meanwhile, over the players, in microseconds.
    pub resume_cpu_us: f64,
    /// How many of those were told only what they had missed.
    pub resumed: usize,
}

/// Measures a target.
pub(super) async fn crowd(options: &Options, target: Target) -> Result<Crowd, Failure> {
    let players = options.at_most(PLAYERS);
    let mut site = Site::start(options, target, 100).await?;
    drop(enter(&site, target, "idle", players, STACKS).await?);
    site.restart(options).await?;
    let empty = site.rss()?;
    let (inside, (login_s, login_cpu_us)) = timed(&site, 0..players, async |number: usize| {
        let mut entry = Entry::enter(&site.url, &format!("idle-{number}"), None).await?;
        entry.take_snapshot().await?;
        Ok((number, entry))
    })
    .await?;
    sleep(IDLE).await;
    let added = site.rss()?.saturating_sub(empty);
    let standing: Vec<_> = inside.iter().map(|(number, entry)| (*number, entry.resume())).collect();
    drop(inside);
    sleep(GONE).await;
    let (back, (resume_s, resume_cpu_us)) = timed(&site, standing, async |(number, resume)| {
        Entry::enter(&site.url, &format!("idle-{number}"), Some(resume)).await
    })
    .await?;
    let resumed = back.iter().filter(|entry| entry.welcome.resumed).count();
    let rss_bytes_per_player = added as f64 / players as f64;
    Ok(Crowd { players, login_s, login_cpu_us, rss_bytes_per_player, resume_s, resume_cpu_us, resumed })
}

/// Does something for each player: what came of it, how many seconds it took, and how many microseconds of the server's CPU
/// time for each of them.
async fn timed<I, T>(
    site: &Site,
    each: impl IntoIterator<Item = I>,
    act: impl AsyncFn(I) -> Result<T, Failure>,
) -> Result<(Vec<T>, (f64, f64)), Failure> {
    let (before, begun) = (site.costs()?, Instant::now());
    let done = for_each(each, act).await?;
    let took = begun.elapsed();
    let cpu = site.costs()?.since(&before).server.cpu;
    let cpu_us = cpu.as_secs_f64() * 1e6 / done.len() as f64;
    Ok((done, (took.as_secs_f64(), cpu_us)))
}
