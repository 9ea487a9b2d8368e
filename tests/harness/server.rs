//! A whole server in this process: real sockets, the embedded store in a directory of its own.

use holdall_server::{
    app::{self, Plan, Stopped, workshop::Workshop},
    config::{Loaded, Settings},
    operator::{
        Operator,
        auth::Access,
        keys::{KeyFile, Keyring},
        reload::{NotReloaded, Reload, Report},
    },
    store::{Node, memory::Shelf},
    telemetry::{log::LogLevel, readiness::Readiness},
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

/// A directory that goes away with its value.
pub struct TempDir(PathBuf);

impl TempDir {
    /// A new, empty one.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("holdall-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for TempDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What operators' routes answer from, over nothing that lasts, and without a key as long as there is none in `dir`.
///
/// # Panics
/// When the keys in `dir` cannot be read.
#[must_use]
pub fn operator(readiness: Arc<Readiness>, dir: &Path) -> Operator {
    let store = Arc::new(Shelf::default().open(Node { id: "here".to_owned(), boot: 1 }));
    let roster = Workshop::new(&Settings::default(), crate::rules(), store).roster;
    let keyring = Keyring::open(KeyFile::new(None, dir)).expect("keys, or none");
    let access = Arc::new(Access::new(keyring, true));
    Operator {
        readiness,
        log: LogLevel::start("warn", false),
        scrape: Arc::new(String::new),
        roster,
        reload: Arc::new(Fixed),
        access,
    }
}

/// A server that reloads nothing.
struct Fixed;

impl Reload for Fixed {
    fn look(&self) -> Result<Report, NotReloaded> {
        Err(NotReloaded::Faults(Vec::new()))
    }

    fn reload(&self) -> Result<Report, NotReloaded> {
        self.look()
    }
}

/// A server that runs until it is stopped.
pub struct Server {
    /// Where players connect.
    pub game: SocketAddr,
    /// Where operators look.
    pub operator: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Stopped>,
}

impl Server {
    /// Starts over `dir`, with the tests' rules and the defaults, changed by `configure`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(dir: &Path, configure: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        (settings.server.listen, settings.server.operator_listen) = (any, any);
        settings.server.data_dir = dir.to_path_buf();
        // So few that no machine's limit on open files is in the way, and in the log.
        settings.limits.connections_max = 1_000;
        configure(&mut settings);
        let ready_file = dir.join("ready.json");
        let _ = std::fs::remove_file(&ready_file);
        let log = LogLevel::start("warn", false);
        let mut loaded = Loaded::default();
        loaded.settings = settings;
        let rules = crate::rules();
        let again = (loaded.clone(), rules.clone());
        let read = Box::new(move || Ok(again.clone()));
        let plan = Plan { loaded, rules, read, ready_file: Some(ready_file.clone()), new_world: false, log };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            app::serve(plan, stopped).await.expect("the server starts")
        });
        let ready = loop {
            if let Ok(text) = std::fs::read_to_string(&ready_file) {
                break serde_json::from_str::<serde_json::Value>(&text).expect("the ready file is JSON");
            }
            assert!(!task.is_finished(), "the server ended before it was ready");
            sleep(Duration::from_millis(5)).await;
        };
        let address = |name: &str| ready[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { game: address("listen"), operator: address("operator"), stop, task }
    }

    /// Stops it as a signal would.
    ///
    /// # Panics
    /// When the server panicked.
    pub async fn stop(self) -> Stopped {
        let _ = self.stop.send(());
        self.task.await.expect("the server does not panic")
    }
}
