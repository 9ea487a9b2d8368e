//! `client-sim run`: plays a scenario, refined by what was typed, and says what was found.

use super::live::Live;
use clap::Args;
use holdall_client_sim::{
    duration, html, knock,
    mix::Weights,
    operator::{Address, Operator},
    report::Report,
    require::Requirement,
    scenario::{BOTS_MAX, Load, Options, Scenario, Url, rate_of, run_watched, share_of},
    token::{Algorithm, Claims, Signer, Tokens},
};
use holdall_protocol::frame::Subprotocol;
use serde::Serialize;
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

/// A promise of the server was broken.
const VIOLATED: u8 = 1;

/// No promise was broken, but a requirement was not met.
const NOT_AS_REQUIRED: u8 = 3;

/// What an operator's key begins with, and no sensible name of a file.
const KEY_PREFIX: &str = "holdall_";

/// What was typed. What is left out is the scenario's.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all is well, 1 a promise of the server was broken, 2 usage, 3 a requirement was not met."
)]
pub(crate) struct Run {
    /// The kind of load: steady, login_storm, market_day, flaky_network, slow_readers, abusers, or a file like those in
    /// config/scenarios.
    #[arg(long, value_name = "NAME|FILE", default_value = "steady")]
    scenario: String,
    /// The server, such as ws://127.0.0.1:7777/ws, or wss://game.example/ws where it speaks TLS.
    #[arg(long, default_value = "ws://127.0.0.1:7777/ws")]
    url: String,
    /// The authorities (PEM) that may have signed the certificate of a server at wss:// [default: those that this machine
    /// trusts]
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// How many bots; they sign in as bot-1 and so on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(BOTS_MAX)))]
    bots: Option<u32>,
    /// How long they play once all are in, such as 5s or 2m.
    #[arg(long, value_name = "D", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// Actions a second over all bots, sent when they are due, whether replies came or not.
    #[arg(long, value_name = "R", conflicts_with_all = ["think_time", "depth"], value_parser = positive)]
    rate: Option<f64>,
    /// From one action of a bot to its next.
    #[arg(long, value_name = "T", conflicts_with = "depth", value_parser = duration::parse)]
    think_time: Option<Duration>,
    /// Requests that each bot keeps in flight, without thinking.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    depth: Option<u16>,
    /// What they do: default, simple, market_day, idle, or a TOML file of weights.
    #[arg(long, value_name = "NAME|FILE")]
    mix: Option<String>,
    /// Bots let in a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connect_rate: Option<u32>,
    /// Every bot cuts its connection after about this long, and comes back.
    #[arg(long, value_name = "T", value_parser = duration::parse)]
    churn: Option<Duration>,
    /// How long on average a bot stays away when its mix lets it leave.
    #[arg(long, value_name = "T", value_parser = duration::parse)]
    away: Option<Duration>,
    /// The share of the bots that read nothing for seconds, again and again, such as 0.2; all others save their gifts for
    /// one of these at a time.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    slow_readers: Option<f64>,
    /// The share of the bots that are no players and do what the server must refuse.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    abusers: Option<f64>,
    /// The same seed makes every bot choose alike.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The encoding the bots speak.
    #[arg(long, value_name = "NAME", default_value = "msgpack", value_parser = subprotocol)]
    subprotocol: Subprotocol,
    /// Sign tokens with this key instead of development sign-in: for HS256 the secret, otherwise a private key as PEM.
    #[arg(long, value_name = "FILE", requires = "jwt_audience")]
    jwt_key: Option<PathBuf>,
    /// HS256, EdDSA, RS256 or ES256: the server's auth.algorithm.
    #[arg(long, value_name = "NAME", default_value = "HS256", requires = "jwt_key")]
    jwt_algorithm: Algorithm,
    /// The `aud` of the tokens: the server's auth.audience.
    #[arg(long, value_name = "TEXT", requires = "jwt_key")]
    jwt_audience: Option<String>,
    /// The claim that holds the player id: the server's auth.player_claim.
    #[arg(long, value_name = "NAME", default_value = "sub", requires = "jwt_key")]
    jwt_player_claim: String,
    /// How long a token is good for; a bot whose token has run out comes back with a new one.
    #[arg(long, value_name = "T", default_value = "5m", value_parser = duration::parse, requires = "jwt_key")]
    jwt_lifetime: Duration,
    /// Top bots up through the operator API there, such as http://127.0.0.1:7780, where the server has no dev_grant.
    #[arg(long, value_name = "URL", requires = "operator_key")]
    operator: Option<Address>,
    /// The key for it, of the role operate: the key itself, or a file that holds it.
    #[arg(long, value_name = "KEY|FILE", requires = "operator")]
    operator_key: Option<String>,
    /// What the run must show, such as 'p99_us<5000'. Of throughput_per_s, p50_us, p90_us, p99_us, p999_us, max_us,
    /// refused_ratio, collapsed (snapshots for what was left out) and violations, with < <= > or >=. May be given again.
    #[arg(long, value_name = "FIGURE<NUMBER")]
    require: Vec<Requirement>,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with plots to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The server's process, to measure what it costs. One that listens on this machine is found without.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
}

/// Reads a number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    rate_of(text.parse().map_err(|_| "it is not a number".to_owned())?)
}

fn share(text: &str) -> Result<f64, String> {
    share_of(text.parse().map_err(|_| "it is not a number".to_owned())?)
}

fn subprotocol(text: &str) -> Result<Subprotocol, String> {
    match text {
        "msgpack" => Ok(Subprotocol::Msgpack),
        "json" => Ok(Subprotocol::Json),
        _ => Err("it is msgpack or json".to_owned()),
    }
}

impl Run {
    /// Plays to the end.
    ///
    /// # Errors
    /// What was typed, or the machine, does not allow, in words.
    pub(crate) async fn play(&self) -> Result<ExitCode, String> {
        let options = self.options()?;
        room_for(options.bots)?;
        // A wrong address is better told at once than by every bot after half a minute.
        knock(&options.url, options.subprotocol).await?;
        for file in self.json.iter().chain(&self.html) {
            // Better now than after an hour.
            std::fs::File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let live = Live::new();
        let stop = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let mut report = run_watched(options, |progress| live.show(progress), stop).await;
        live.clear();
        report.requirements = self.require.iter().map(|requirement| requirement.judge(&report)).collect();
        report.command = std::env::args().map(|argument| self.without_secret(argument)).collect();
        // Nobody may be reading any more; the exit code still tells.
        let _ = write!(std::io::stdout(), "{report}");
        self.write_files(&report)?;
        Ok(ExitCode::from(verdict(&report)))
    }

    fn options(&self) -> Result<Options, String> {
        let scenario = Scenario::named(&self.scenario).map_err(|error| error.to_string())?;
        let url = Url::new(&self.url, self.ca_cert.as_deref()).map_err(|why| format!("--url {}: {why}", self.url))?;
        let mut options = scenario.options(&self.scenario, url);
        if let Some(bots) = self.bots {
            options.bots = usize::try_from(bots).map_err(|error| error.to_string())?;
        }
        if let Some(mix) = &self.mix {
            options.mix = Weights::named(mix).map_err(|error| error.to_string())?;
        }
        if let Some(load) = self.load() {
            options.load = load;
        }
        options.duration = self.duration.unwrap_or(options.duration);
        options.connect_rate = self.connect_rate.unwrap_or(options.connect_rate);
        options.churn = self.churn.or(options.churn);
        options.away = self.away.unwrap_or(options.away);
        options.slow_readers = self.slow_readers.unwrap_or(options.slow_readers);
        options.abusers = self.abusers.unwrap_or(options.abusers);
        options.tokens = self.tokens()?;
        options.operator = self.operator()?;
        (options.seed, options.subprotocol, options.server_pid) = (self.seed, self.subprotocol, self.server_pid);
        Ok(options)
    }

    fn tokens(&self) -> Result<Tokens, String> {
        let (Some(file), Some(audience)) = (&self.jwt_key, &self.jwt_audience) else { return Ok(Tokens::Development) };
        let claims = Claims {
            audience: audience.clone(),
            player_claim: self.jwt_player_claim.clone(),
            lifetime: self.jwt_lifetime,
        };
        Ok(Tokens::Signed(Arc::new(Signer::read(self.jwt_algorithm, file, claims)?)))
    }

    fn operator(&self) -> Result<Option<Operator>, String> {
        let (Some(address), Some(key)) = (&self.operator, &self.operator_key) else { return Ok(None) };
        let key = if key.starts_with(KEY_PREFIX) {
            key.clone()
        } else {
            std::fs::read_to_string(key).map_err(|error| format!("{key}: {error}"))?
        };
        Ok(Some(Operator::new(address.clone(), key.trim().to_owned())))
    }

    /// A report may be shown to everybody; an operator's key may not.
    fn without_secret(&self, argument: String) -> String {
        match self.operator_key.as_ref().filter(|key| key.starts_with(KEY_PREFIX)) {
            Some(key) => argument.replace(key, "KEY"),
            None => argument,
        }
    }

    fn load(&self) -> Option<Load> {
        let rate = self.rate.map(Load::Rate);
        rate.or(self.depth.map(usize::from).map(Load::Depth)).or(self.think_time.map(Load::ThinkTime))
    }

    fn write_files(&self, report: &Report) -> Result<(), String> {
        let told =
            |path: &Path, written: std::io::Result<()>| written.map_err(|error| format!("{}: {error}", path.display()));
        if let Some(path) = &self.json {
            told(path, write_json(path, report))?;
        }
        if let Some(path) = &self.html {
            told(path, std::fs::write(path, html::page(report)))?;
        }
        Ok(())
    }
}

fn verdict(report: &Report) -> u8 {
    if report.violations_count > 0 {
        VIOLATED
    } else if report.requirements.iter().any(|judged| !judged.met) {
        NOT_AS_REQUIRED
    } else {
        0
    }
}

/// Writes what was found.
pub(super) fn write_json(path: &Path, found: &impl Serialize) -> std::io::Result<()> {
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
