//! The whole server over a disk that fails for real: the kernel refuses its writes.

use crate::conformance::id;
use holdall_harness::{
    raw::{Heard, Raw},
    server::TempDir,
};
use holdall_protocol::{
    action::{self, Action, Quantity},
    close::Close,
    frame::Subprotocol,
    ids::{ItemId, Seq},
    message::{ClientMessage, ServerMessage},
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(30);

/// A child server; dropped, it is killed.
struct Running {
    child: Child,
    game: SocketAddr,
    log: std::path::PathBuf,
}

impl Running {
    async fn start(dir: &Path, boot: u32) -> Self {
        let test = std::env::current_exe().expect("a test knows its executable");
        let program = test.ancestors().nth(2).expect("it lies in `deps`").join("holdall");
        assert!(program.exists(), "`cargo build --workspace --bins` builds {}", program.display());
        let (ready, log) = (dir.join(format!("ready-{boot}")), dir.join(format!("log-{boot}")));
        let items = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/items.toml");
        // A refused write is an error to the server, not its death.
        let child = Command::new("bash")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\" 2> >(cat > \"$LOG\")"])
            .arg(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .current_dir(dir)
            .env("LOG", &log)
            .env("HOLDALL_CATALOG__ITEMS_FILE", items)
            .env("HOLDALL_LIMITS__CONNECTIONS_MAX", "100")
            .stdin(Stdio::null())
            .spawn()
            .expect("bash is there");
        let begun = Instant::now();
        let ready = loop {
            if let Ok(text) = std::fs::read_to_string(&ready) {
                break serde_json::from_str::<serde_json::Value>(&text).expect("the ready file is JSON");
            }
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "the server does not get ready:\n{said}");
            sleep(Duration::from_millis(5)).await;
        };
        let game = ready["listen"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { child, game, log }
    }

    /// From now on the kernel refuses to write anything behind this offset of any file.
    fn fail_writes_behind(&self, offset: u64) {
        let limit = Rlimit { current: Some(offset), maximum: Some(offset) };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).expect("a child can be limited");
    }

    async fn exit_code(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                sleep(Duration::from_millis(100)).await;
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end:\n{}", self.said());
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn grant(seq: u64) -> ClientMessage {
    let currency = Some(ItemId::new("gold").expect("an item id"));
    let grant = action::DevGrant { item: None, currency, quantity: Quantity::new(10), partial: None };
    ClientMessage::request(Seq::new(seq), Action::DevGrant(grant))
}

/// Lets the disk fail in the middle of play. What the first server said and the revisions: acknowledged, found later.
async fn play(offset: u64) -> (String, u64, String, u64) {
    let dir = TempDir::new();
    let mut server = Running::start(dir.path(), 1).await;
    let player = id("p");
    let (mut raw, _, _) = Raw::join(server.game, Subprotocol::Json, player.as_str()).await;
    let mut acked = 0;
    for seq in 1..=5 {
        raw.send(&grant(seq)).await;
        match raw.message().await {
            ServerMessage::Applied(applied) => acked = applied.revision.get(),
            other => panic!("not applied: {other:?}"),
        }
    }
    server.fail_writes_behind(offset);
    raw.send(&grant(6)).await;
    let end = loop {
        match raw.hear().await {
            Heard::Message(message) => panic!("a reply that is not durable was delivered: {message:?}"),
            Heard::Control => {}
            end => break end,
        }
    };
    assert!(matches!(end, Heard::Close(Close::StoreUnavailable, _)), "{end:?}");
    assert_eq!(server.exit_code().await, Some(5), "{}", server.said());
    let first = server.said();

    let again = Running::start(dir.path(), 2).await;
    let (_, welcome, snapshot) = Raw::join(again.game, Subprotocol::Json, player.as_str()).await;
    assert_eq!(welcome.player, player);
    (first, acked, again.said(), snapshot.revision.get())
}

#[tokio::test]
async fn what_the_store_did_not_take_waits_in_the_spool_and_nobody_is_told_before() {
    let (first, acked, second, found) = play(16 * 1024).await;
    assert!(first.contains("the store cannot be written any more") && first.contains("is in the spool"), "{first}");
    assert!(second.contains("the spool of the last stop was replayed"), "{second}");
    assert_eq!(found, acked + 1, "the spool is saved by the next start");
}

#[tokio::test]
async fn where_not_even_the_spool_can_be_written_nothing_acknowledged_is_lost() {
    let (first, acked, _, found) = play(0).await;
    assert!(first.contains("could not be spooled either"), "{first}");
    assert!(found == acked || found == acked + 1, "{found}, acknowledged {acked}");
}
