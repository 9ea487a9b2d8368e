//! A real Redis: `redis-server` as a child process on a port and in a directory of its own, killed, paused, set back and
//! started again at will.
//!
//! It writes an AOF that is synced with every command, and evicts nothing, unless a test says otherwise.

use crate::{
    child::{PATIENCE, Running},
    resp::{Connection, Reply},
    server::TempDir,
};
use rustix::process::Signal;
use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Instant,
};
use tokio::time::{Duration, sleep, timeout};

/// Where the AOF lies in the directory of a Redis.
const AOF: &str = "appendonlydir";

/// A Redis and its directory. Dropped, it is killed.
pub struct Redis {
    child: Option<Running>,
    dir: TempDir,
    port: u16,
    tls_port: Option<u16>,
    settings: Vec<(String, String)>,
    password: Option<String>,
}

/// What a Redis had on its disk at one moment.
pub struct Image(TempDir);

impl Redis {
    /// An empty one that does not run yet.
    #[must_use]
    pub fn new() -> Self {
        let redis = Self {
            child: None,
            dir: TempDir::new(),
            port: free_port(),
            tls_port: None,
            settings: Vec::new(),
            password: None,
        };
        redis
            .set("bind", "127.0.0.1")
            .set("save", "\"\"")
            .set("appendonly", "yes")
            .set("appendfsync", "always")
            .set("aof-load-truncated", "no")
            .set("maxmemory-policy", "noeviction")
            // An image is copied while it is written: nothing may be rewritten under the copy.
            .set("auto-aof-rewrite-percentage", "0")
            .set("enable-debug-command", "yes")
            .set("enable-protected-configs", "yes")
    }

    /// An empty one that runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn run() -> Self {
        Self::new().running().await
    }

    /// Adds a line of the config file; of most settings the last one wins.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.turn(name, value);
        self
    }

    /// Adds a line of the config file for the next start.
    pub fn turn(&mut self, name: &str, value: impl ToString) {
        self.settings.push((name.to_owned(), value.to_string()));
    }

    /// Asks for a password from now on.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.set("requirepass", password)
    }

    /// Listens on a second port that speaks TLS, with this certificate and key.
    #[must_use]
    pub fn tls(mut self, cert: &Path, key: &Path) -> Self {
        let port = free_port();
        self.tls_port = Some(port);
        self.set("tls-port", port)
            .set("tls-cert-file", cert.display())
            .set("tls-key-file", key.display())
            .set("tls-ca-cert-file", cert.display())
            .set("tls-auth-clients", "no")
    }

    /// Takes part in a cluster. Its bus would be 10,000 ports above its own, where the system gives ports to connections.
    #[must_use]
    pub fn cluster_member(self) -> Self {
        self.set("cluster-enabled", "yes").set("cluster-port", free_port())
    }

    /// Started.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn running(mut self) -> Self {
        self.start().await;
        self
    }

    /// Where it listens, or will.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What a server is told, with the password if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same through something that stands before it.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("redis://{}{address}", self.credentials())
    }

    /// The same over TLS.
    ///
    /// # Panics
    /// When it was not told to speak TLS.
    #[must_use]
    pub fn tls_url(&self) -> String {
        let port = self.tls_port.expect("it speaks TLS");
        format!("rediss://{}localhost:{port}", self.credentials())
    }

    fn credentials(&self) -> String {
        self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default()
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Everything it has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.dir().join("redis.log")
    }

    /// Starts it on what its directory holds, and waits until it has loaded that.
    ///
    /// # Panics
    /// When it runs already, or does not start.
    pub async fn start(&mut self) {
        self.launch();
        self.until_ready().await;
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// When it runs already, or its program is missing.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut config = format!("port {}\ndir {}\n", self.port, self.dir().display());
        writeln!(config, "logfile {}", self.log_file().display()).expect("a string grows");
        for (name, value) in &self.settings {
            writeln!(config, "{name} {value}").expect("a string grows");
        }
        let file = self.dir().join("redis.conf");
        fs::write(&file, config).expect("its directory can be written");
        cut_torn_end(&self.dir().join(AOF).join("appendonly.aof.manifest"));
        self.child = Some(Running::spawn(Command::new("redis-server").arg(file)));
    }

    /// Waits until it has loaded its data and answers.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn until_ready(&mut self) {
        let begun = Instant::now();
        while !self.is_ready().await {
            let log = self.log();
            let child = self.child.as_mut().expect("it was started");
            if let Some(status) = child.ended() {
                panic!("redis-server ended before it was ready: {status}\n{}\n{log}", child.said());
            }
            assert!(begun.elapsed() < PATIENCE, "redis-server does not get ready:\n{log}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        self.try_ask(&["PING"]).await.is_ok_and(|reply| reply == Reply::Simple("PONG".to_owned()))
    }

    /// Kills it without a word. What it had handed to the kernel is on its disk.
    pub async fn kill(&mut self) {
        assert_eq!(self.end(Signal::KILL).await.signal(), Some(9), "it ran until it was killed:\n{}", self.log());
    }

    /// Kills it, and starts it again on so much to load, so slowly, that this takes a second. Returns while it loads.
    ///
    /// # Panics
    /// When it does not begin to.
    pub async fn kill_and_launch_slowly(&mut self) {
        let filler = "for n = 1, 5000 do redis.call('SET', 'filler:' .. n, n) end";
        self.tell(&["EVAL", filler, "0"]).await;
        self.turn("key-load-delay", 200);
        self.kill().await;
        self.launch();
        let begun = Instant::now();
        while !matches!(self.try_ask(&["GET", "n"]).await, Ok(Reply::Error(error)) if error.starts_with("LOADING ")) {
            assert!(begun.elapsed() < PATIENCE, "it is never seen loading:\n{}", self.log());
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Asks it to end in good order, and waits for that.
    pub async fn stop(&mut self) {
        assert_eq!(self.end(Signal::TERM).await.code(), Some(0), "{}", self.log());
    }

    async fn end(&mut self, signal: Signal) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it runs");
        child.signal(signal);
        child.wait().await
    }

    /// Lets it stand still, with its connections open.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        self.child.as_ref().expect("it runs").signal(Signal::STOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        self.child.as_ref().expect("it runs").signal(Signal::CONT);
    }

    /// Asks on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn ask(&self, words: &[&str]) -> Reply {
        self.try_ask(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", self.log()))
    }

    /// Asks for something that must not fail.
    ///
    /// # Panics
    /// When it does.
    pub async fn tell(&self, words: &[&str]) -> Reply {
        match self.ask(words).await {
            Reply::Error(error) => panic!("{words:?}: {error}"),
            reply => reply,
        }
    }

    /// Asks on a connection of its own, where there may be no answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn try_ask(&self, words: &[&str]) -> io::Result<Reply> {
        timeout(PATIENCE, async {
            let mut connection = Connection::open(self.address()).await?;
            if let Some(password) = &self.password {
                connection.ask(&["AUTH", password]).await?;
            }
            connection.ask(words).await
        })
        .await?
    }

    /// Looks that every command on the realm `main` has signed off: of each there is a sign that says so and goes by itself,
    /// and nothing else.
    ///
    /// # Panics
    /// When there is more, or none.
    pub async fn expect_commands_signed_off(&self) {
        let nodes = self.tell(&["SMEMBERS", "holdall:{main}:nodes"]).await;
        assert!(nodes.array().iter().all(|node| !node.text().starts_with("command-")), "{nodes}");
        let left = self.tell(&["KEYS", "holdall:{main}:node:command-*"]).await;
        assert!(!left.array().is_empty(), "there was one");
        for sign in left.array() {
            assert_eq!(self.tell(&["HGET", sign.text(), "until"]).await.text(), "0", "{sign}");
            assert!(matches!(self.tell(&["TTL", sign.text()]).await, Reply::Integer(1..)), "{sign}");
        }
    }

    /// A line of `INFO`.
    ///
    /// # Panics
    /// When there is none of that name.
    pub async fn info(&self, name: &str) -> String {
        let info = self.tell(&["INFO", "everything"]).await;
        let mut lines = info.text().lines().filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| *known == name).unwrap_or_else(|| panic!("INFO has no {name}")).1.to_owned()
    }

    /// What is on its disk now.
    ///
    /// # Panics
    /// When it keeps no AOF.
    #[must_use]
    pub fn image(&self) -> Image {
        let image = TempDir::new();
        copy_files(&self.dir().join(AOF), image.path());
        Image(image)
    }

    /// Puts back what was on its disk then: everything since is lost.
    ///
    /// # Panics
    /// When it runs.
    pub fn put_back(&self, image: &Image) {
        assert!(self.child.is_none(), "it runs");
        let aof = self.dir().join(AOF);
        fs::remove_dir_all(&aof).expect("the AOF can be removed");
        fs::create_dir(&aof).expect("a directory can be made");
        copy_files(image.0.path(), &aof);
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies the files of one directory into another.
fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory that can be read") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
}

/// Takes a transaction of which only the beginning is there off the end of an AOF, as whoever runs a Redis does when it was
/// killed in the middle of a write: of itself it does not start then.
fn cut_torn_end(manifest: &Path) {
    if !manifest.exists() {
        return;
    }
    let mut check = Command::new("redis-check-aof");
    let check = check.arg("--fix").arg(manifest).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut check = check.expect("redis-check-aof is installed beside redis-server");
    // It asks only where there is something to cut, and may have ended before it is told.
    let _ = check.stdin.take().expect("it is piped").write_all(b"y\n");
    assert!(check.wait().expect("it ends").success(), "{} cannot be mended", manifest.display());
}

/// A port that nobody listens on, and that no connection is given by the system: below those, so that it is still free after
/// a kill, and nobody who connects meanwhile can meet itself there.
fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 1_200).expect("below 1,200") * 10;
    loop {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let port = PORTS.start + number;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
