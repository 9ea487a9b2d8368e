//! A real server: the `holdall` program as a child process on a data directory of its own, killed and started again at will.

use crate::{http::Asker, server::TempDir};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// Guards against hangs only.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A data directory, and how servers on it are set.
pub struct Site {
    dir: TempDir,
    knobs: Vec<(String, String)>,
    flags: Vec<String>,
    allowed: Vec<&'static str>,
}

/// A server that runs on a site.
pub struct Server {
    /// Where players connect.
    pub game: SocketAddr,
    /// Where operators look.
    pub operator: SocketAddr,
    child: Running,
    allowed: Vec<&'static str>,
}

/// How a child that was not to come up ended.
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it said on standard error.
    pub said: String,
}

impl Site {
    /// An empty data directory. Servers on it have the shipped catalogue, no starting kit, limits on requests, gifts and invites
    /// that no test meets by accident, and otherwise the defaults.
    #[must_use]
    pub fn new() -> Self {
        let items = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/items.toml");
        let allowed = vec!["development sign-in is ON"];
        let site = Self { dir: TempDir::new(), knobs: Vec::new(), flags: Vec::new(), allowed };
        site.knob("server.listen", "127.0.0.1:0")
            .knob("catalog.items_file", items.to_str().expect("a path that is text"))
            // So few that no machine's limit on open files is in the way, and in the log.
            .knob("limits.connections_max", 1_000)
            .knob("limits.actions_per_second", 100_000)
            .knob("limits.actions_burst", 100_000)
            .knob("limits.gifts_per_minute", 1_000_000)
            .knob("limits.gifts_burst", 100_000)
            .knob("limits.invites_per_minute", 10_000)
            .knob("limits.invites_per_pair_per_minute", 10_000)
    }

    /// Keeps the players in the Redis at this URL.
    #[must_use]
    pub fn on(self, url: &str) -> Self {
        self.knob("store.url", url)
    }

    /// Sets `section.name`; the last one wins.
    #[must_use]
    pub fn knob(mut self, path: &str, value: impl ToString) -> Self {
        self.turn(path, value);
        self
    }

    /// Sets `section.name` for the next start.
    pub fn turn(&mut self, path: &str, value: impl ToString) {
        self.knobs.retain(|(known, _)| known != path);
        self.knobs.push((path.to_owned(), value.to_string()));
    }

    /// Leaves `section.name` to the config file.
    #[must_use]
    pub fn leave(mut self, path: &str) -> Self {
        self.knobs.retain(|(known, _)| known != path);
        self
    }

    /// Adds something to the command line.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Expects lines of the log with this text, though they are warnings or errors.
    #[must_use]
    pub fn allow(mut self, text: &'static str) -> Self {
        self.allowed.push(text);
        self
    }

    /// The directory of the test: the data directory is `data` in it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The file in which a server says that it is ready.
    #[must_use]
    pub fn ready_file(&self) -> PathBuf {
        self.dir().join("ready.json")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary("holdall"));
        command
            .arg("serve")
            .args(["--operator-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(self.dir().join("data"))
            .arg("--ready-file")
            .arg(self.ready_file())
            .args(&self.flags)
            .current_dir(self.dir())
            .env_clear();
        for (path, value) in &self.knobs {
            let name = path.replace('.', "__").to_uppercase();
            command.env(format!("HOLDALL_{name}"), value);
        }
        command
    }

    /// Starts a server and waits until it is ready.
    ///
    /// # Panics
    /// When it ends before it is.
    pub async fn start(&self) -> Server {
        let _ = std::fs::remove_file(self.ready_file());
        let mut child = Running::spawn(&mut self.command());
        let begun = Instant::now();
        let ready = loop {
            if let Ok(text) = std::fs::read_to_string(self.ready_file()) {
                break serde_json::from_str::<serde_json::Value>(&text).expect("the ready file is JSON");
            }
            if let Some(status) = child.ended() {
                panic!("the server ended before it was ready: {status}\n{}", child.said());
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not get ready:\n{}", child.said());
            sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(ready["pid"], child.child.id(), "the ready file names the process");
        let address = |name: &str| ready[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Server { game: address("listen"), operator: address("operator"), child, allowed: self.allowed.clone() }
    }

    /// Starts a server that cannot come up, with these arguments last, and waits for its end.
    ///
    /// # Panics
    /// When it comes up all the same.
    pub async fn start_in_vain(&self, arguments: &[&str]) -> Ended {
        let mut child = Running::spawn(self.command().args(arguments));
        let status = child.wait().await;
        Ended { code: status.code(), said: child.said() }
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.child.id()
    }

    /// Kills it without a word, as a power cut would.
    ///
    /// # Panics
    /// When its log held a warning nobody expected.
    pub async fn kill(mut self) {
        self.child.signal(Signal::KILL);
        let status = self.child.wait().await;
        assert_eq!(status.signal(), Some(9), "it ran until it was killed: {status}");
        self.expect_quiet();
    }

    /// Lets it stand still, with its connections open. On return none of its threads runs any more.
    ///
    /// # Panics
    /// When it does not stand still.
    pub async fn pause(&self) {
        self.child.signal(Signal::STOP);
        let begun = Instant::now();
        while !self.stands_still() {
            assert!(begun.elapsed() < PATIENCE, "it does not stand still");
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the process is there");
        let stopped = |status: String| status.lines().any(|line| line.starts_with("State:\tT"));
        threads.flatten().all(|thread| std::fs::read_to_string(thread.path().join("status")).is_ok_and(stopped))
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.child.signal(Signal::CONT);
    }

    /// Asks it to stop and waits for its exit code.
    ///
    /// # Panics
    /// When it does not end, or its log held a warning nobody expected.
    pub async fn stop(self) -> Option<i32> {
        self.ask_to_stop();
        self.stopped().await
    }

    /// Asks it to read its settings and its catalogue again.
    pub fn hang_up(&self) {
        self.child.signal(Signal::HUP);
    }

    /// Asks it to stop, without waiting.
    pub fn ask_to_stop(&self) {
        self.child.signal(Signal::TERM);
    }

    /// Waits for the end that it was asked for.
    ///
    /// # Panics
    /// When it does not end, or its log held a warning nobody expected.
    pub async fn stopped(mut self) -> Option<i32> {
        let status = self.child.wait().await;
        self.expect_quiet();
        status.code()
    }

    /// Everything it has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        self.child.said()
    }

    /// Waits until it has written this to its log.
    ///
    /// # Panics
    /// When it does not.
    pub async fn logs(&self, text: &str) {
        let written = async {
            while !self.log().contains(text) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, written).await.unwrap_or_else(|_| panic!("{text:?} is not in the log:\n{}", self.log()));
    }

    /// Its resident memory in bytes.
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory is told");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
        kib * 1024
    }

    /// Asks the operator port; the answer's status and body.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn operate(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.asker(None).ask(method, path, &[], body).await
    }

    /// Somebody who asks the operator port with this key.
    #[must_use]
    pub fn asker(&self, key: Option<&str>) -> Asker {
        Asker { addr: self.operator, key: key.map(str::to_owned) }
    }

    fn expect_quiet(&self) {
        let log = self.log();
        let loud = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ") || line.contains("panicked");
        let unexpected: Vec<&str> = log
            .lines()
            .filter(loud)
            .filter(|line| !self.allowed.iter().any(|allowed| line.contains(allowed)))
            .collect();
        assert!(unexpected.is_empty(), "the server complained:\n{}", unexpected.join("\n"));
    }
}

/// A child whose standard error is read as it comes. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    said: Arc<parking_lot::Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let said = Arc::new(parking_lot::Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let heard = said.clone();
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut said = heard.lock();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { child, said, reader: Some(reader) }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("a child that has not been waited for can be signalled");
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for")?;
        // With the process its end of the pipe is gone: the reader ends with the last line.
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader of the log does not panic");
        }
        Some(status)
    }

    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the child does not end:\n{}", self.said());
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this workspace, beside the directory of the test's own executable.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its executable");
    let folder = test.ancestors().nth(2).expect("it lies in `deps`");
    let binary = folder.join(name);
    assert!(binary.exists(), "{} is missing: `cargo build --workspace --bins` builds it", binary.display());
    binary
}
