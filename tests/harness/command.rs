//! Commands that do not serve: `holdall` and `client-sim` as children that end by themselves.

use crate::child::{PATIENCE, binary};
use std::{path::Path, process::Stdio};
use tokio::{process::Command, time::timeout};

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `holdall` with these arguments in `dir`, without an environment.
///
/// # Panics
/// When it does not end.
pub async fn holdall(dir: &Path, arguments: &[&str]) -> Said {
    run("holdall", dir, arguments).await
}

/// The same for `client-sim`.
///
/// # Panics
/// When it does not end.
pub async fn client_sim(dir: &Path, arguments: &[&str]) -> Said {
    run("client-sim", dir, arguments).await
}

async fn run(name: &str, dir: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(binary(name));
    command.args(arguments).current_dir(dir).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(PATIENCE, command.output()).await.expect("the command ends").expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it says text");
    Said { code: ended.status.code(), out: text(ended.stdout), err: text(ended.stderr) }
}

impl Said {
    /// The JSON it printed.
    ///
    /// # Panics
    /// When it failed, or printed something else.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// It ended with this code, and all of these words stand in what it said.
    ///
    /// # Panics
    /// When not.
    pub fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.out.contains(word) || self.err.contains(word), "{word} is missing: {self:?}");
        }
    }
}
