//! The servers that are measured, each a process of its own in a directory of its own.
//!
//! Whatever is started here is killed, and its directory removed, when it is dropped: at the end, on an error, on Ctrl-C.

use super::{
    Failure, Options,
    cost::{Cost, Spent},
    settings,
    target::Target,
};
use crate::{process::Probe, url::Url};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// The longest that a server may take to come up, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs, with the Redis that it stands on.
#[derive(Debug)]
pub(super) struct Site {
    /// Where it listens.
    pub(super) url: Url,
    target: Target,
    server: Process,
    redis: Option<Process>,
    // The last, so that nobody writes into it any more when it goes.
    dir: Directory,
}

/// One look at all its processes.
#[derive(Debug)]
pub(super) struct Costs {
    server: Cost,
    redis: Option<Cost>,
}

/// What its processes used between two looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct SiteSpent {
    /// The server.
    pub(super) server: Spent,
    /// The Redis beneath it.
    pub(super) redis: Option<Spent>,
}

impl Site {
    /// Starts what a target needs, on nothing, with bags of so many slots, and waits until it serves.
    pub(super) async fn start(options: &Options, target: Target, slots: u16) -> Result<Self, Failure> {
        let dir = Directory::new(&options.work_dir)?;
        let mut redis = None;
        let mut url = None;
        if target.on_redis() {
            let (process, address) = start_redis(&dir.0).await?;
            url = Some(format!("redis://{address}"));
            redis = Some(process);
        }
        if target.ack().is_some() {
            write(&dir.0.join("items.toml"), &settings::catalogue())?;
            write(&dir.0.join("holdall.toml"), &settings::settings(target, url.as_deref(), slots))?;
        }
        let (server, url) = start_server(options, target, &dir.0).await?;
        Ok(Self { url, target, server, redis, dir })
    }

    /// Stops the server in good order and starts it again on what it has saved.
    pub(super) async fn restart(&mut self, options: &Options) -> Result<(), Failure> {
        self.server.stop().await?;
        (self.server, self.url) = start_server(options, self.target, &self.dir.0).await?;
        Ok(())
    }

    /// Whether requests come back as they are.
    pub(super) fn echoes(&self) -> bool {
        self.target == Target::Echo
    }

    /// What everything has used so far.
    pub(super) fn costs(&self) -> Result<Costs, Failure> {
        Ok(Costs { server: self.server.cost()?, redis: self.redis.as_ref().map(Process::cost).transpose()? })
    }

    /// The server's resident memory in bytes.
    pub(super) fn rss(&self) -> Result<u64, Failure> {
        let sample = Probe::new(self.server.child.id()).sample();
        sample.map(|sample| sample.rss_bytes).ok_or_else(|| self.server.gone())
    }
}

impl Costs {
    /// What was used since an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> SiteSpent {
        let redis = self.redis.as_ref().zip(earlier.redis.as_ref());
        SiteSpent { server: self.server.since(&earlier.server), redis: redis.map(|(now, then)| now.since(then)) }
    }
}

async fn start_server(options: &Options, target: Target, dir: &Path) -> Result<(Process, Url), Failure> {
    let (mut command, says) = if target == Target::Echo {
        let mut command = Command::new(&options.client_sim);
        command.arg("echo");
        (command, dir.join("echo.out"))
    } else {
        let ready = dir.join("ready.json");
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(&options.server);
        command.arg("serve").arg("--config").arg(dir.join("holdall.toml")).arg("--ready-file").arg(&ready);
        (command, ready)
    };
    let name = if target == Target::Echo { "echo" } else { "holdall" };
    let mut process = Process::start(&mut command, name, dir)?;
    let address = process.until(|| address(&fs::read_to_string(&says).ok()?)).await?;
    let path = if target == Target::Echo { "" } else { "ws" };
    let url = format!("ws://{address}/{path}").parse().map_err(Failure::new)?;
    Ok((process, url))
}

/// Where a server says that it listens: in its ready file, or in a line of its own.
fn address(said: &str) -> Option<String> {
    match serde_json::from_str::<serde_json::Value>(said) {
        Ok(ready) => ready.get("listen")?.as_str().map(str::to_owned),
        Err(_) => said.strip_suffix('\n').map(str::to_owned),
    }
}

/// A Redis that keeps an AOF, flushed every second. It is not rewritten, so that no round is disturbed by that.
async fn start_redis(dir: &Path) -> Result<(Process, String), Failure> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.map_err(|error| Failure::new(format!("no port for redis-server: {error}")))?;
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--dir"]).arg(dir);
    command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]);
    command.args(["--auto-aof-rewrite-percentage", "0"]);
    let mut process = Process::start(&mut command, "redis-server", dir)?;
    let address = address.to_string();
    process.until(|| pong(&address)).await?;
    Ok((process, address))
}

/// Asks a Redis whether it is there.
fn pong(address: &str) -> Option<()> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"PING\r\n").ok()?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).ok()?;
    (&answer == b"+PONG\r\n").then_some(())
}

/// Finds out whether there is a `redis-server` to start.
pub(super) fn look_for_redis() -> Result<(), Failure> {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.map(drop).map_err(|error| {
        Failure::new(format!(
            "redis-server cannot be started ({error}): install Redis 7 (apt install redis-server), or compare without \
             it: --targets echo,embedded-durable,embedded-applied"
        ))
    })
}

/// A child process, killed when it is dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    name: &'static str,
    log: PathBuf,
}

impl Process {
    /// Starts it with nothing of our environment but the path; what it says is in two files of the directory.
    fn start(command: &mut Command, name: &'static str, dir: &Path) -> Result<Self, Failure> {
        let log = dir.join(format!("{name}.err"));
        let file = |path: &Path| fs::File::create(path).map_err(|error| failed(path, &error));
        command.current_dir(dir).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(file(&dir.join(format!("{name}.out")))?).stderr(file(&log)?);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().map_err(|error| Failure::new(format!("{program} cannot be started: {error}")))?;
        Ok(Self { child, name, log })
    }

    /// Waits until something is there to be seen.
    async fn until<T>(&mut self, look: impl Fn() -> Option<T>) -> Result<T, Failure> {
        let begun = Instant::now();
        loop {
            if let Some(seen) = look() {
                return Ok(seen);
            }
            if self.ended().is_some() || begun.elapsed() > PATIENCE {
                return Err(self.gone());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asks it to stop and waits for its end.
    async fn stop(&mut self) -> Result<(), Failure> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has an id");
        kill_process(pid, Signal::TERM).map_err(|error| Failure::new(format!("{}: {error}", self.name)))?;
        let begun = Instant::now();
        loop {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(_) => return Err(self.gone()),
                None if begun.elapsed() > PATIENCE => return Err(Failure::new(format!("{} does not stop", self.name))),
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    fn cost(&self) -> Result<Cost, Failure> {
        Cost::of(self.child.id()).ok_or_else(|| self.gone())
    }

    /// It is not there, or not as it should be: what it said last.
    fn gone(&self) -> Failure {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(10).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Failure::new(format!("{} does not serve; it said:\n{}", self.name, last.join("\n")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before; then there is nobody to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that is removed when it is dropped.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn new(within: &Path) -> Result<Self, Failure> {
        let path = within.join(format!("holdall-compare-{:016x}", SmallRng::from_os_rng().random::<u64>()));
        fs::create_dir(&path).map_err(|error| failed(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("client-sim: {}: {error}", self.0.display());
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}
