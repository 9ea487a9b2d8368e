//! `client-sim run`.
//!
//! Exit codes: 0 with no violation, 1 with violations, 2 for usage.

use super::live::Live;
use clap::Args;
use holdall_client_sim::{
    duration,
    mix::Weights,
    scenario::{Load, Options, Url, run_watched},
};
use holdall_protocol::frame::Subprotocol;
use serde::Serialize;
use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

#[derive(Debug, Args)]
/// What was typed.
pub(crate) struct Run {
    /// The server, such as ws://127.0.0.1:7777/ws
    #[arg(long, default_value = "ws://127.0.0.1:7777/ws")]
    url: Url,
    /// How many bots; they sign in as bot-1 and so on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    bots: u32,
    /// How long they play once all are in, such as 5s or 2m.
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    duration: Duration,
    /// Actions a second over all bots, sent when they are due, whether replies came or not.
    #[arg(long, value_name = "R", conflicts_with_all = ["think_time", "depth"], value_parser = positive)]
    rate: Option<f64>,
    /// From one action of a bot to its next [default: 200ms]
    #[arg(long, value_name = "T", conflicts_with = "depth", value_parser = duration::parse)]
    think_time: Option<Duration>,
    /// Requests that each bot keeps in flight, without thinking.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    depth: Option<u16>,
    /// What they do: default, simple, market_day, idle, or a TOML file of weights.
    #[arg(long, value_name = "NAME|FILE", default_value = "default")]
    mix: String,
    /// The same seed makes every bot choose alike.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Write what was found to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The server's process on this machine, to measure what it costs.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// The encoding the bots speak.
    #[arg(long, value_name = "NAME", default_value = "msgpack", value_parser = subprotocol)]
    subprotocol: Subprotocol,
    /// Bots let in a second.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    connect_rate: u32,
    /// Every bot cuts its connection after about this long, and comes back.
    #[arg(long, value_name = "T", value_parser = duration::parse)]
    churn: Option<Duration>,
    /// How long on average a bot stays away when its mix lets it leave.
    #[arg(long, value_name = "T", default_value = "15s", value_parser = duration::parse)]
    away: Duration,
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("it must be a number above 0".to_owned()),
    }
}

fn subprotocol(text: &str) -> Result<Subprotocol, String> {
    match text {
        "msgpack" => Ok(Subprotocol::Msgpack),
        "json" => Ok(Subprotocol::Json),
        _ => Err("it is msgpack or json".to_owned()),
    }
}

impl Run {
    fn options(&self) -> Result<Options, String> {
        let bots = usize::try_from(self.bots).map_err(|error| error.to_string())?;
        let load = match (self.rate, self.depth) {
            (Some(rate), _) => Load::Rate(rate),
            (None, Some(depth)) => Load::Depth(usize::from(depth)),
            (None, None) => Load::ThinkTime(self.think_time.unwrap_or(Duration::from_millis(200))),
        };
        let mix = Weights::named(&self.mix).map_err(|error| error.to_string())?;
        Ok(Options {
            load,
            mix,
            seed: self.seed,
            subprotocol: self.subprotocol,
            connect_rate: self.connect_rate,
            churn: self.churn,
            away: self.away,
            server_pid: self.server_pid,
            ..Options::new(self.url.clone(), bots, self.duration)
        })
    }
}

impl Run {
    pub(crate) async fn play(&self) -> Result<ExitCode, String> {
        let options = self.options()?;
        room_for(options.bots)?;
        let live = Live::new();
        let stop = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let report = run_watched(options, |progress| live.show(progress), stop).await;
        live.clear();
        // Nobody may be reading any more; the exit code still tells.
        let _ = write!(std::io::stdout(), "{report}");
        if let Some(path) = &self.json {
            write_json(path, &report).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(ExitCode::from(u8::from(report.violations_count > 0)))
    }
}

/// Writes what was found.
pub(super) fn write_json(path: &std::path::Path, found: &impl Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(found)?;
    text.push(b'\n');
    std::fs::write(path, text)
}

/// Every bot is an open file: raises this process's limit as far as it may be.
pub(super) fn room_for(bots: usize) -> Result<(), String> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let wanted = u64::try_from(bots).unwrap_or(u64::MAX).saturating_add(64);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit).is_ok() && limit.maximum.is_none_or(|most| most >= wanted);
    let have = limit.maximum.unwrap_or(u64::MAX);
    if raised { Ok(()) } else { Err(format!("{bots} bots need {wanted} open files, and this process may have {have}")) }
}
