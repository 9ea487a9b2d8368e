//! One load on one server: the players act, and what that costs is read before and after.

use super::{
    Failure, Options,
    children::Site,
    cost::Cost,
    drive::{Drive, Run, Tally},
    pace::Pacer,
    player::{Player, for_each},
    report::Figures,
    target::{Load, Target},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc::unbounded_channel,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Stacks of a player who is measured under load.
pub(super) const STACKS: u16 = 50;

/// Players of a closed loop.
const CLOSED: usize = 64;

/// Players of the open loop.
const OPEN: usize = 500;

/// Requests a second of one of them: 20,000 of all.
const OPEN_RATE_EACH: f64 = 40.0;

/// The longest that replies may be waited for once nothing more is sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// How requests follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pace {
    /// So many under way on each connection.
    Depth(usize),
    /// So many a second on each connection, whatever becomes of them.
    RateEach(f64),
}

/// Puts each of these loads on a server that was started for them.
pub(super) async fn loads(
    options: &Options,
    target: Target,
    loads: &[Load],
    mut found: impl FnMut(Load, Figures),
) -> Result<(), Failure> {
    let site = Site::start(options, target, 100).await?;
    for load in loads {
        let (count, pace) = match load {
            Load::Shallow => (CLOSED, Pace::Depth(1)),
            Load::Deep => (CLOSED, Pace::Depth(8)),
            Load::Open => (OPEN, Pace::RateEach(OPEN_RATE_EACH)),
            // These have servers of their own.
            Load::Players | Load::Bags => continue,
        };
        let players = enter(&site, target, &load.to_string(), options.at_most(count), STACKS).await?;
        let (_, figures) = measure(options, &site, players, pace).await?;
        found(*load, figures);
    }
    Ok(())
}

/// Brings so many players into the game, with so many stacks each.
pub(super) async fn enter(
    site: &Site,
    target: Target,
    names: &str,
    count: usize,
    stacks: u16,
) -> Result<Vec<Player>, Failure> {
    for_each(0..count, async |number: usize| match target {
        Target::Echo => Player::of_echo(&site.url, stacks).await,
        _ => Player::of_holdall(&site.url, &format!("{names}-{number}"), stacks).await,
    })
    .await
}

/// Lets the players act, first unmeasured, then for as long as is wanted.
pub(super) async fn measure(
    options: &Options,
    site: &Site,
    players: Vec<Player>,
    pace: Pace,
) -> Result<(Vec<Player>, Figures), Failure> {
    let run = Run::new(site.echoes());
    let mut drives = begin(&run, players, pace)?;
    let this_process = || Cost::of(std::process::id()).expect("this process is there");
    sleep(options.seconds.div_f64(4.0).min(Duration::from_millis(500))).await;
    run.measure();
    let (begun, before, own) = (Instant::now(), site.costs()?, this_process());
    tokio::select! {
        () = sleep(options.seconds) => {}
        failure = first_failure(&mut drives) => return Err(failure),
    }
    run.stop();
    let (after, took) = (site.costs()?, begun.elapsed());
    let own = this_process().since(&own);
    let (players, tally) = end(drives).await?;
    if tally.replies == 0 {
        return Err(Failure::new("nothing was answered while it was measured"));
    }
    Ok((players, Figures::of(&tally, took, &run.latencies(), &after.since(&before), own)))
}

type Drives = JoinSet<Result<(Player, Tally), Failure>>;

fn begin(run: &Arc<Run>, players: Vec<Player>, pace: Pace) -> Result<Drives, Failure> {
    let mut drives = JoinSet::new();
    match pace {
        Pace::Depth(depth) => {
            for player in players {
                drives.spawn(Drive::new(player, Arc::clone(run)).closed(depth));
            }
        }
        Pace::RateEach(rate) => {
            let pacer = Pacer::new(rate * players.len() as f64)
                .map_err(|error| Failure::new(format!("no timer to send by: {error}")))?;
            let mut turns = Vec::with_capacity(players.len());
            for player in players {
                let (turn, due) = unbounded_channel();
                turns.push(turn);
                drives.spawn(Drive::new(player, Arc::clone(run)).open(due));
            }
            let run = Arc::clone(run);
            // If its timer fails, the connections end before their time, and that is noticed.
            tokio::spawn(async move { pacer.pace(turns, || run.stopped()).await });
        }
    }
    Ok(drives)
}

/// Waits for a connection that ends before it was told to.
async fn first_failure(drives: &mut Drives) -> Failure {
    match drives.join_next().await {
        Some(Ok(Err(failure))) => failure,
        Some(Err(error)) => Failure::new(error.to_string()),
        Some(Ok(Ok(_))) | None => Failure::new("the load ended before its time"),
    }
}

/// Waits until everybody has their replies.
async fn end(mut drives: Drives) -> Result<(Vec<Player>, Tally), Failure> {
    let all = async {
        let (mut players, mut sum) = (Vec::new(), Tally::default());
        while let Some(ended) = drives.join_next().await {
            let (player, tally) = ended.map_err(|error| Failure::new(error.to_string()))??;
            players.push(player);
            sum.replies += tally.replies;
            sum.refused += tally.refused;
            sum.late += tally.late;
        }
        Ok((players, sum))
    };
    timeout(PATIENCE, all).await.map_err(|_| Failure::new("replies are missing after the load"))?
}
