//! The scripts: each one atomic step, called by its digest.

use super::link::{Failure, Link, Live};
use redis::{Cmd, Value};
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
pub(super) struct Call {
    pub(super) keys: Texts,
    arguments: Texts,
}

/// Texts, end to end: a commit has a thousand of them.
#[derive(Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    pub(super) fn push(&mut self, text: impl AsRef<[u8]>) {
        self.push_parts([text.as_ref()]);
    }

    /// One text of several parts.
    pub(super) fn push_parts<const N: usize>(&mut self, parts: [&[u8]; N]) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(&0).chain(&self.ends);
        begins.zip(&self.ends).map(|(begin, end)| self.bytes.get(*begin..*end).unwrap_or_default())
    }
}

impl<T: AsRef<[u8]>> Extend<T> for Texts {
    fn extend<I: IntoIterator<Item = T>>(&mut self, texts: I) {
        texts.into_iter().for_each(|text| self.push(text));
    }
}

impl Call {
    pub(super) fn bytes(&mut self, bytes: &(impl AsRef<[u8]> + ?Sized)) -> &mut Self {
        self.arguments.push(bytes.as_ref());
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        self.arguments.push(itoa::Buffer::new().format(number));
        self
    }

    pub(super) fn count(&mut self, count: usize) -> &mut Self {
        self.number(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn command(&self, verb: &str, script: &str) -> Cmd {
        let Self { keys, arguments } = self;
        let bytes = keys.bytes.len().saturating_add(arguments.bytes.len()).saturating_add(script.len());
        let count = keys.ends.len().saturating_add(arguments.ends.len()).saturating_add(3);
        // The verb and the number of keys are short.
        let mut command = Cmd::with_capacity(count, bytes.saturating_add(32));
        command.arg(verb).arg(script).arg(keys.ends.len());
        for text in keys.iter().chain(arguments.iter()) {
            command.arg(text);
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
