//! The scripts: each one atomic step, called by its digest.

use super::link::{Failure, Link, Live};
use redis::{Value, cmd};
use std::{borrow::Cow, sync::LazyLock};

/// One script and the digest by which Redis knows it.
pub(super) struct Script {
    text: Cow<'static, str>,
    digest: String,
}

impl Script {
    fn new(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }

    /// With parts that other scripts share, behind its first line.
    fn with(parts: &[&str], text: &str) -> Self {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        Self::new(format!("{first}\n{}{rest}", parts.concat()))
    }
}

/// The parts that scripts share.
const SHOP: &str = include_str!("shop.lua");
const LEASE: &str = include_str!("lease.lua");

pub(super) static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::with(&[SHOP], include_str!("commit.lua")));
pub(super) static ACQUIRE: LazyLock<Script> = LazyLock::new(|| Script::with(&[LEASE], include_str!("acquire.lua")));
pub(super) static STANDINGS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("standings.lua")));
pub(super) static RECLAIM: LazyLock<Script> = LazyLock::new(|| Script::with(&[LEASE], include_str!("reclaim.lua")));
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| Script::with(&[LEASE], include_str!("renew.lua")));
pub(super) static DOOR: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("door.lua")));
pub(super) static TOGETHER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("together.lua")));
pub(super) static IMPORT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("import.lua")));
pub(super) static STOCK: LazyLock<Script> = LazyLock::new(|| Script::with(&[SHOP], include_str!("stock.lua")));
pub(super) static SWEEP: LazyLock<Script> = LazyLock::new(|| Script::with(&[SHOP, LEASE], include_str!("sweep.lua")));
pub(super) static IMPORT_STOCK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("import_stock.lua")));

/// What a script is called with.
#[derive(Default)]
pub(super) struct Call<'a> {
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<Argument<'a>>,
}

/// One argument; what is text or bytes already is not copied before it is sent.
pub(super) enum Argument<'a> {
    Bytes(&'a [u8]),
    Number(u64),
    Text(String),
}

impl<'a> Call<'a> {
    pub(super) fn bytes(&mut self, bytes: &'a (impl AsRef<[u8]> + ?Sized)) -> &mut Self {
        self.arguments.push(Argument::Bytes(bytes.as_ref()));
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.arguments.push(Argument::Number(number));
        self
    }

    pub(super) fn text(&mut self, text: String) -> &mut Self {
        self.arguments.push(Argument::Text(text));
        self
    }

    fn command(&self, verb: &str, script: &str) -> redis::Cmd {
        let mut command = cmd(verb);
        command.arg(script).arg(self.keys.len());
        for key in &self.keys {
            command.arg(key);
        }
        for argument in &self.arguments {
            match argument {
                Argument::Bytes(bytes) => command.arg(*bytes),
                Argument::Number(number) => command.arg(*number),
                Argument::Text(text) => command.arg(text),
            };
        }
        command
    }

    /// Runs the script; sends its text where Redis does not know it yet.
    pub(super) async fn run(&self, link: &Link, live: &Live, script: &Script) -> Result<Value, Failure> {
        match link.call(live, &self.command("EVALSHA", &script.digest)).await {
            Err(Failure::Said { code, .. }) if code == "NOSCRIPT" => {
                link.call(live, &self.command("EVAL", &script.text)).await
            }
            answered => answered,
        }
    }
}
