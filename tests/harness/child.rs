//! A whole server as a process of its own, which can be killed.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child as Process, Command, ExitStatus},
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How long a start or a stop may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server's process. Killed when dropped.
pub struct Child {
    process: Process,
    /// Where players connect.
    pub game: SocketAddr,
    /// From the start of the process to its being ready.
    pub ready_after: Duration,
    log: PathBuf,
}

impl Child {
    /// Starts over `dir` and waits until the server is ready.
    ///
    /// # Panics
    /// When it does not become ready, or was never built.
    pub async fn start(dir: &Path, listen: SocketAddr, arguments: &[&str]) -> Self {
        let (ready_file, log) = (dir.join("ready.json"), dir.join("log"));
        let _ = fs::remove_file(&ready_file);
        let output = OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let begin = Instant::now();
        let mut process = Command::new(binary("holdall"))
            .arg("serve")
            .args(["--listen", &listen.to_string(), "--operator-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(dir)
            .arg("--ready-file")
            .arg(&ready_file)
            .args(arguments)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace"))
            .stdout(same(&output))
            .stderr(same(&output))
            .spawn()
            .expect("the server's binary was built: cargo build --workspace --bins");
        let ready: serde_json::Value = loop {
            if let Some(ready) = fs::read_to_string(&ready_file).ok().and_then(|text| serde_json::from_str(&text).ok())
            {
                break ready;
            }
            let ended = process.try_wait().expect("a process of our own");
            assert!(ended.is_none(), "the server ended before it was ready: {}", read(&log));
            assert!(begin.elapsed() < PATIENCE, "the server is not ready: {}", read(&log));
            sleep(Duration::from_millis(5)).await;
        };
        let game = ready["listen"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { process, game, ready_after: begin.elapsed(), log }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as a power cut would end the process: at once, whatever it is doing.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn kill(mut self) {
        self.process.kill().expect("a process of our own");
        self.process.wait().expect("it ends");
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn stop(mut self) -> ExitStatus {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("a process of our own");
        let begin = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a process of our own") {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "the server does not stop: {}", read(&self.log));
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A binary of this workspace, of the same profile as the running test.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    folder.join(name)
}

fn same(file: &File) -> File {
    file.try_clone().expect("a log can be shared")
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}
