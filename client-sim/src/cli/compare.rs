//! `client-sim compare`.
//!
//! Exit codes: 0 when everything was measured, whatever the figures are, 2 when something stood in the way, 130 on Ctrl-C.

use super::run::{positive, room_for, write_json};
use clap::Args;
use holdall_client_sim::compare::{Load, Options, Target, compare};
use std::{io::Write as _, num::NonZeroUsize, path::PathBuf, process::ExitCode, thread, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a comparison that was broken off.
const INTERRUPTED: u8 = 130;

/// What was typed.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The `holdall` program [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Which servers.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = Target::ALL)]
    targets: Vec<Target>,
    /// Which loads.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = Load::ALL)]
    loads: Vec<Load>,
    /// How often everything is measured, one server after the other; the figures are medians.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds that each load is measured for.
    #[arg(long, value_name = "S", default_value = "5", value_parser = positive)]
    seconds: f64,
    /// Write everything that was found to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the servers keep their files while they run: the disk that is measured [default: the temporary directory]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// At most so many players in any load, to try it out. Figures of different numbers cannot be compared.
    #[arg(long, value_name = "N", default_value_t = Options::PLAYERS, value_parser = at_least_one)]
    players: usize,
    /// Threads that make the load [default: one for each four cores]
    #[arg(long, value_name = "N")]
    load_threads: Option<NonZeroUsize>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse::<NonZeroUsize>().map(NonZeroUsize::get).map_err(|error| error.to_string())
}

impl Compare {
    /// How many threads make the load. Few: the cores are for what is measured.
    pub(crate) fn load_threads(&self) -> usize {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.load_threads.map_or(cores.div_ceil(4), NonZeroUsize::get)
    }

    fn options(&self) -> Result<Options, String> {
        let client_sim = std::env::current_exe().map_err(|error| format!("where this program lies: {error}"))?;
        let seconds = Duration::try_from_secs_f64(self.seconds).map_err(|error| error.to_string())?;
        let mut targets = self.targets.clone();
        targets.sort();
        targets.dedup();
        let mut loads = self.loads.clone();
        loads.sort();
        loads.dedup();
        Ok(Options {
            server: self.server.clone().unwrap_or_else(|| client_sim.with_file_name("holdall")),
            client_sim,
            work_dir: self.work_dir.clone().unwrap_or_else(std::env::temp_dir),
            targets,
            loads,
            rounds: self.rounds,
            seconds,
            players_max: self.players,
            load_threads: self.load_threads(),
        })
    }

    pub(crate) async fn measure(&self) -> Result<ExitCode, String> {
        let options = self.options()?;
        room_for(self.players)?;
        let heard = |kind| signal(kind).map_err(|error| error.to_string());
        let (mut int, mut term) = (heard(SignalKind::interrupt())?, heard(SignalKind::terminate())?);
        let comparing = compare(&options, |stage| eprintln!("{stage}"));
        // Whoever breaks it off drops it, and with it all that it has started.
        let comparison = tokio::select! {
            compared = comparing => compared.map_err(|error| error.to_string())?,
            _ = int.recv() => return Ok(ExitCode::from(INTERRUPTED)),
            _ = term.recv() => return Ok(ExitCode::from(INTERRUPTED)),
        };
        // Nobody may be reading any more; the file still tells.
        let _ = write!(std::io::stdout(), "{comparison}");
        if let Some(path) = &self.json {
            write_json(path, &comparison).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
