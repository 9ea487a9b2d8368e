//! Whether a Redis can be trusted with a world, looked at whenever a connection is made: what it is, and what it promises.

use redis::{RedisResult, aio::MultiplexedConnection, cmd};
use std::collections::HashMap;

/// The oldest version that knows all that the scripts use.
const VERSION_MIN: (u32, u32) = (7, 0);

/// What a Redis that can be used says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    /// Another one after each restart and each change of role: then it may have lost something.
    pub(super) run: String,
    /// What a commit survives, in words.
    pub(super) promise: String,
    /// What an operator should know about, in words.
    pub(super) weaknesses: Vec<String>,
}

/// Why it cannot be used: what it is, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// It has not read its own file yet: soon. What it says of itself meanwhile is not what it will be.
    #[error("this Redis is still loading what it holds")]
    Loading,
    /// It never will be.
    #[error("{0}")]
    Wrong(String),
}

/// Looks.
pub(super) async fn check(connection: &mut MultiplexedConnection) -> RedisResult<Result<Checked, Unfit>> {
    let info: String = cmd("INFO").query_async(connection).await?;
    let info = Facts::parse(&info);
    if let Err(unfit) = info.fit() {
        return Ok(Err(unfit));
    }
    let mut settings = HashMap::new();
    for name in ["appendfsync", "no-appendfsync-on-rewrite", "aof-load-truncated"] {
        // It may be forbidden: then the answer is not known, and said to be so.
        let asked: RedisResult<HashMap<String, String>> =
            cmd("CONFIG").arg("GET").arg(name).query_async(connection).await;
        match asked {
            Ok(found) => settings.extend(found),
            Err(error) if error.is_unrecoverable_error() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(Ok(info.checked(&settings)))
}

/// The lines of INFO.
struct Facts<'i>(HashMap<&'i str, &'i str>);

impl<'i> Facts<'i> {
    fn parse(info: &'i str) -> Self {
        Self(info.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    fn get(&self, name: &str) -> &'i str {
        self.0.get(name).copied().unwrap_or_default()
    }

    fn fit(&self) -> Result<(), Unfit> {
        if self.get("loading") == "1" {
            return Err(Unfit::Loading);
        }
        let version = self.get("redis_version");
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < VERSION_MIN {
            let (major, minor) = VERSION_MIN;
            return Err(Unfit::Wrong(format!(
                "this Redis is version {version}; {major}.{minor} or later is needed, or Valkey"
            )));
        }
        if self.get("redis_mode") != "standalone" || self.get("cluster_enabled") == "1" {
            return Err(Unfit::Wrong("this Redis is part of a cluster; a standalone one is needed".to_owned()));
        }
        if self.get("role") != "master" {
            return Err(Unfit::Wrong(format!(
                "this Redis is a replica of {}; connect to its master",
                self.get("master_host")
            )));
        }
        let policy = self.get("maxmemory_policy");
        if policy != "noeviction" {
            return Err(Unfit::Wrong(format!(
                "this Redis may throw players away when its memory is full (maxmemory-policy {policy}); \
                 set maxmemory-policy noeviction"
            )));
        }
        Ok(())
    }

    fn checked(&self, settings: &HashMap<String, String>) -> Checked {
        let fsync = settings.get("appendfsync").map(String::as_str);
        let mut weaknesses = Vec::new();
        let mut weak = |text: &str| weaknesses.push(text.to_owned());
        let promise = match (self.get("aof_enabled"), fsync) {
            ("1", Some("always")) => "a commit survives a crash of Redis and of its machine (appendfsync always)",
            ("1", Some("everysec")) => {
                weak("appendfsync is everysec: a crash of Redis's machine may take the last two seconds");
                "a commit survives a crash of Redis; a crash of its machine may take the last two seconds (appendfsync everysec)"
            }
            ("1", Some("no")) => {
                weak("appendfsync is no: a crash of Redis's machine takes whatever its system had not written yet");
                "a commit survives a crash of Redis; a crash of its machine may take the last minute (appendfsync no)"
            }
            ("1", _) => {
                weak("CONFIG is forbidden here, so that it is not known how often Redis's file reaches the disk");
                "a commit survives a crash of Redis; what a crash of its machine takes is unknown"
            }
            _ => {
                weak(
                    "the append-only file is off: a crash of Redis takes everything since its last snapshot; set appendonly yes",
                );
                "a crash of Redis takes everything since its last snapshot (appendonly no)"
            }
        };
        let mut promise = promise.to_owned();
        if settings.get("no-appendfsync-on-rewrite").is_some_and(|set| set == "yes") {
            weak("no-appendfsync-on-rewrite is yes: while the file is rewritten, a crash may take minutes");
            promise += "; while its file is rewritten, it may take minutes (no-appendfsync-on-rewrite yes)";
        }
        // Of a transaction that the end of the file cuts off inside a command, such a Redis leaves the first commands in the
        // file, in front of whatever it writes next, and carries them out at its next start.
        if self.get("aof_enabled") == "1" && settings.get("aof-load-truncated").is_some_and(|set| set == "yes") {
            weak(
                "aof-load-truncated is yes: half of a commit that a power cut tore can take effect at a later start of \
                 Redis; set it to no, and mend such a file with redis-check-aof --fix",
            );
            promise += "; half of one that a power cut tore may take effect later (aof-load-truncated yes)";
        }
        let run = format!("{}/{}", self.get("run_id"), self.get("master_replid"));
        Checked { run, promise, weaknesses }
    }
}
