//! The store that several server processes share: Redis 7.0 or later, or Valkey, standalone.
//!
//! Every write of players is one script call that reads and compares everything before it writes anything. Commits have a
//! connection of their own, so that nothing overtakes or delays them; loads, looks and signs of life share a second one;
//! letters are waited for on a third.

mod answers;
mod inbox;
mod keys;
mod link;
mod looking;
mod preflight;
mod reply;
mod script;
mod stock;
mod world;

use super::{
    ANSWERS_KEPT, AcquireError, Answer, Batch, Door, Found, KeptAnswer, LedgerItem, Letter, Life, Loaded, Node,
    Outcome, Owner, Page, PlayerWrite, Preferences, ReadError, Renewal, Standings, Store, Stored, Waiting,
    stock::{Holder, Tally},
};
use bytes::Bytes;
use holdall_protocol::ids::{OrderKey, PlayerId, Revision};
use keys::Keys;
use link::{Failure, Link, Shared};
use parking_lot::Mutex;
use redis::{Client, Cmd, IntoConnectionInfo as _, TlsCertificates, Value, cmd};
use script::Call;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// For a commit, a load or a look to be answered.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// How long Redis lets a reader of letters wait.
const LETTERS_WAIT: Duration = Duration::from_secs(5);
/// Letters that wait for one node at most; older ones are lost, which is harmless.
const LETTERS_MAX: usize = 10_000;
/// A letter that was not read for so long is lost: whoever wrote it no longer waits, and others may have come since.
const LETTER_AGE_MAX: Duration = Duration::from_secs(2);
/// How long Redis keeps what belongs to a node that nobody may come back as: long after anybody could want it.
const LEFTOVERS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// After a command that was refused or never sent.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// Ledger items read back at a load: as many entries at least.
const RECENT_ITEMS: u64 = 64;
/// Players looked at in one call, so that nobody waits long.
const STANDINGS_PER_CALL: usize = 1_000;

/// How to reach a realm.
#[derive(Debug, Clone)]
pub struct Options {
    /// `redis://` or `rediss://`, with user, password and database number where needed.
    pub url: String,
    /// The password, where the address does not carry it.
    pub password: Option<String>,
    /// The certificate (PEM) of the authority that signed Redis's, where this machine does not know it.
    pub ca_cert: Option<Vec<u8>>,
    /// Which of the realms in this Redis.
    pub realm: String,
    /// How long a node owns its players after each sign of life.
    pub lease: Duration,
    /// The world that this data directory has served before.
    pub known_world: Option<String>,
    /// Whether a Redis without it is welcome all the same.
    pub new_world: bool,
    /// The id of a world that has to be begun: one that nobody had before.
    pub fresh_world: String,
}

/// What a visitor does in a realm without a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWorld {
    /// Goes away.
    Refused,
    /// Begins one.
    Begun,
}

/// Why a Redis could not be opened: what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);

/// The store.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    keys: Keys,
    node: Node,
    lease: Duration,
    world: String,
    /// Whether nobody will ever come back as this node.
    passing: bool,
    shared: Arc<Shared>,
    tally: Tally,
    commits: Link,
    looks: Link,
    letters: Link,
    /// The last letter that was read.
    last_letter: Mutex<String>,
}

impl Redis {
    /// Connects, looks at what Redis is and which world it holds, and signs the node on.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed, but that a world may have been begun.
    pub async fn open(options: Options, node: Node) -> Result<Self, OpenError> {
        let mut inner = Inner::new(&options, node)?;
        inner.world = world::enter(&inner.looks, &inner.keys, &options).await?;
        let failed = |failure: Failure| OpenError(format!("Redis does not take this server: {failure}"));
        inner.sign(inner.lease, None).await.map_err(failed)?;
        // Letters to an earlier boot are of no use to this one.
        let letters = inner.keys.mail(&inner.node.id);
        inner.look(cmd("DEL").arg(letters)).await.map_err(failed)?;
        Ok(Self(Arc::new(inner)))
    }

    /// Connects without signing on, for whoever is no server. Before it takes a player, the node has to sign on all the same
    /// ([`Store::renew`]); after [`Store::resign`] nothing is left of it.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed, but that a world may have been begun where that was asked for.
    pub async fn visit(options: Options, node: Node, no_world: NoWorld) -> Result<Self, OpenError> {
        let mut inner = Inner::new(&options, node)?;
        inner.passing = true;
        inner.world = match no_world {
            NoWorld::Refused => world::existing(&inner.looks, &inner.keys, &options.realm).await?,
            NoWorld::Begun => world::enter(&inner.looks, &inner.keys, &options).await?,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The id of the world, to be known the next time.
    #[must_use]
    pub fn world(&self) -> &str {
        &self.0.world
    }

    /// A verb that owns what it needs.
    fn verb<T, F>(&self, run: impl FnOnce(Arc<Inner>) -> F) -> Answer<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        Box::pin(run(self.0.clone()))
    }
}

fn client(options: &Options) -> Result<Client, OpenError> {
    // The library's words could repeat the address, and with it a password.
    let bad = |_| OpenError("store.url is no address of a Redis, such as redis://127.0.0.1:6379".to_owned());
    let mut info = options.url.as_str().into_connection_info().map_err(bad)?;
    if let Some(password) = &options.password {
        let settings = info.redis_settings().clone().set_password(password);
        info = info.set_redis_settings(settings);
    }
    match &options.ca_cert {
        None => Client::open(info).map_err(bad),
        Some(root) => {
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(root.clone()) };
            let bad = |error| OpenError(format!("store.ca_file cannot be used: {error}"));
            Client::build_with_tls(info, certificates).map_err(bad)
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.to_string())
    }
}

impl Inner {
    /// Not yet connected, and in no world yet.
    fn new(options: &Options, node: Node) -> Result<Self, OpenError> {
        let client = client(options)?;
        let shared = Arc::<Shared>::default();
        let link = |answer_time_max| Link::new(client.clone(), shared.clone(), answer_time_max);
        Ok(Self {
            keys: Keys::of(&options.realm),
            node,
            lease: options.lease,
            world: String::new(),
            passing: false,
            commits: link(ANSWER_TIME_MAX),
            looks: link(ANSWER_TIME_MAX),
            letters: link(LETTERS_WAIT.saturating_add(ANSWER_TIME_MAX)),
            last_letter: Mutex::new("0".to_owned()),
            shared,
            tally: Tally::default(),
        })
    }

    /// One command that is no script.
    async fn look(&self, command: &Cmd) -> Result<Value, Failure> {
        let live = self.looks.live().await?;
        self.looks.call(&live, command).await
    }

    async fn commit(&self, batch: &Batch, life: Life) -> Outcome {
        let live = match self.commits.live().await {
            Ok(live) if live.life == life => live,
            Ok(_) => return Outcome::Restarted,
            Err(failure) => return unanswered(&failure),
        };
        let call = self.commit_call(batch);
        let answered = match call.run(&self.commits, &live, &script::COMMIT).await {
            Ok(value) => reply::outcome(value, batch),
            Err(failure) => Err(failure),
        };
        self.tally.with_purchases(batch, answered.unwrap_or_else(|failure| unanswered(&failure)))
    }

    fn commit_call(&self, batch: &Batch) -> Call {
        let mut call = Call::default();
        let steps = batch.players.iter().map(|write| write.inbox.len()).sum::<usize>();
        call.bytes(batch.id.as_bytes()).count(batch.players.len());
        let answers = batch.players.iter().map(|write| write.answers.len()).sum::<usize>();
        call.count(steps).number(millis(ANSWERS_KEPT));
        call.count(answers);
        for write in &batch.players {
            self.keys.add_player(&write.player, &mut call.keys);
            add_write(&mut call, write);
        }
        inbox::add_steps(&mut call, &self.keys, batch);
        answers::add_answers(&mut call, &self.keys, batch);
        stock::add_purchases(&mut call, &self.keys, batch);
        call
    }

    async fn acquire(&self, player: &PlayerId, life: Life) -> Result<Loaded, AcquireError> {
        let away = |failure: Failure| AcquireError::Unavailable(failure.to_string());
        let live = self.looks.live().await.map_err(away)?;
        if live.life != life {
            return Err(AcquireError::Restarted);
        }
        let boot = format!("{:016x}", self.node.boot);
        let mut call = Call::default();
        let keys = &self.keys;
        let run = self.shared.run(life);
        call.keys.extend([keys.player(player), keys.ledger(player), keys.world(), keys.nodes(), keys.node("")]);
        let holds = format!("{}{}", keys.holds_begin(), Holder::Player(player.clone()));
        call.keys.extend([keys.inbox(player), holds, keys.reservations_begin()]);
        call.bytes(&self.world).bytes(&self.node.id).bytes(&boot);
        call.number(millis(self.lease)).number(RECENT_ITEMS).bytes(&run);
        let answered = call.run(&self.looks, &live, &script::ACQUIRE).await.map_err(away)?;
        reply::loaded(answered).map_err(away)?
    }

    async fn standings(&self, players: &[PlayerId]) -> Result<Standings, Failure> {
        let live = self.looks.live().await?;
        let mut headers = Vec::with_capacity(players.len());
        // Also about nobody Redis is asked once: a connection that has not been used for long may reach nothing any more.
        let mut parts = players.chunks(STANDINGS_PER_CALL);
        let mut part = Some(parts.next().unwrap_or_default());
        while let Some(some) = part {
            let mut call = Call::default();
            call.keys.extend(some.iter().map(|player| self.keys.player(player)));
            for header in reply::list(call.run(&self.looks, &live, &script::STANDINGS).await?)? {
                headers.push(reply::header(header)?);
            }
            part = parts.next();
        }
        Ok(Standings { life: live.life, headers })
    }

    async fn reclaim(&self, player: &PlayerId, owner: &Owner, at: Revision, life: Life) -> Result<bool, Failure> {
        let live = self.looks.live().await?;
        if live.life != life {
            return Ok(false);
        }
        let run = self.shared.run(life);
        let mut call = Call::default();
        call.keys.extend([self.keys.player(player), self.keys.world()]);
        call.bytes(owner.as_str()).number(owner.epoch()).number(at.get());
        call.bytes(&self.node.id).number(millis(self.lease)).bytes(&run);
        Ok(reply::is_one(&call.run(&self.looks, &live, &script::RECLAIM).await?))
    }

    /// A sign of life. `checked`: the life in which everything here was looked at; without, the node signs on, and has nothing
    /// yet.
    async fn sign(&self, lease: Duration, checked: Option<Life>) -> Result<Renewal, Failure> {
        let live = self.looks.live().await?;
        let boot = format!("{:016x}", self.node.boot);
        let (looked_at, run) = (self.shared.run(checked.unwrap_or(live.life)), self.shared.run(live.life));
        let mut call = Call::default();
        call.keys.extend([self.keys.node(&self.node.id), self.keys.nodes(), self.keys.world()]);
        call.bytes(&self.node.id).bytes(&boot).number(millis(lease)).number(u64::from(checked.is_none()));
        call.bytes(&looked_at).bytes(&run);
        let answered = call.run(&self.looks, &live, &script::RENEW).await?;
        if self.passing {
            // Should it be killed, nobody takes it away.
            self.fade(self.keys.node(&self.node.id)).await?;
        }
        let life = live.life;
        Ok(match reply::text(answered)?.as_str() {
            "superseded" => Renewal::Superseded,
            "held" => Renewal::Held(life),
            _ => Renewal::Lapsed(life),
        })
    }

    async fn post(&self, node: &str, letter: &Bytes) -> Result<(), Failure> {
        let mut command = cmd("XADD");
        command.arg(self.keys.mail(node)).arg("MAXLEN").arg("~").arg(LETTERS_MAX);
        command.arg("*").arg("m").arg(letter.as_ref());
        self.look(&command).await?;
        // It may have come too late for its reader, and then nobody takes it away.
        self.fade(self.keys.mail(node)).await
    }

    /// Lets a key go in a while, unless it is asked for again by then.
    async fn fade(&self, key: String) -> Result<(), Failure> {
        self.look(cmd("PEXPIRE").arg(key).arg(millis(LEFTOVERS_KEPT))).await.map(drop)
    }

    async fn letters(&self) -> Result<Vec<Letter>, Failure> {
        let live = self.letters.live().await?;
        let (key, last) = (self.keys.mail(&self.node.id), self.last_letter.lock().clone());
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(100).arg("BLOCK").arg(millis(LETTERS_WAIT)).arg("STREAMS").arg(&key).arg(last);
        let streams = match self.letters.call(&live, &command).await? {
            Value::Nil => return Ok(Vec::new()),
            streams => reply::list(streams)?,
        };
        let here = Instant::now();
        let there = self.now_ms().await?;
        let (mut letters, mut read) = (Vec::new(), cmd("XDEL"));
        read.arg(&key);
        for stream in streams {
            for item in reply::list(reply::list(stream)?.pop().unwrap_or(Value::Nil))? {
                let (id, fields) = reply::stream_item(item)?;
                read.arg(&id);
                let posted = reply::number_or_zero(id.split('-').next().unwrap_or_default().as_bytes());
                *self.last_letter.lock() = id;
                // Both times are whole milliseconds, cut off: it may be one older than their difference.
                let age = Duration::from_millis(there.saturating_sub(posted).saturating_add(1));
                if age <= LETTER_AGE_MAX {
                    let posted = here.checked_sub(age).unwrap_or(here);
                    letters.extend(fields.into_iter().map(|(_, content)| Letter { content, posted }));
                }
            }
        }
        // What could not be deleted is not read again anyway.
        let _ = self.letters.call(&live, &read).await;
        Ok(letters)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One player's part of the arguments, as `commit.lua` reads them.
fn add_write(call: &mut Call, write: &PlayerWrite) {
    call.bytes(write.owner.as_str()).number(write.base.get()).number(write.revision.get());
    call.number(write.release.into()).bytes(&write.entries);
    let follows = write.follows.as_ref();
    // What stands there already is not written again.
    let writer = Some(&write.owner).filter(|owner| write.advances() && follows != Some(owner));
    let stamps = [("schema", write.schema), ("readable_by", write.readable_by), ("content", write.content)];
    let stamps = if write.restamps { stamps.as_slice() } else { &[] };
    let preferences = write.preferences.map(Preferences::bits);
    let set = write.places.iter().filter(|(_, value)| value.is_some()).count();
    let own = writer.iter().len().saturating_add(stamps.len()).saturating_add(preferences.iter().len());
    let pairs = own.saturating_add(write.opening.iter().len().saturating_mul(2)).saturating_add(set);
    call.count(pairs.saturating_mul(2)).count(write.places.len().saturating_sub(set));
    call.bytes(follows.map_or("", Owner::as_str));
    call.bytes(&write.opening.as_ref().map(|opening| behind(&opening.mark)).unwrap_or_default());
    call.number(write.seq.get()).number(write.saved_at);
    if let Some(writer) = writer {
        call.bytes("writer").bytes(writer.as_str());
    }
    if let Some(opening) = &write.opening {
        call.bytes("opened").number(opening.revision.get()).bytes("opening").bytes(&opening.content);
    }
    for (name, stamp) in stamps {
        call.bytes(*name).number((*stamp).into());
    }
    if let Some(preferences) = preferences {
        call.bytes("prefs").number(preferences);
    }
    for (place, value) in &write.places {
        if let Some(value) = value {
            call.bytes(place.as_str()).bytes(value);
        }
    }
    for (place, value) in &write.places {
        if value.is_none() {
            call.bytes(place.as_str());
        }
    }
}

/// The first id of a stream that lies behind this one, which is two numbers.
fn behind(id: &str) -> String {
    let (time, nth) = id.split_once('-').unwrap_or((id, "0"));
    format!("{time}-{}", nth.parse::<u64>().unwrap_or(0).saturating_add(1))
}

/// What a batch comes to whose answer is none of the script's.
fn unanswered(failure: &Failure) -> Outcome {
    if failure.wrote_nothing() {
        tracing::debug!(%failure, "a batch was not taken");
        return Outcome::Unavailable { retry_after: RETRY_AFTER };
    }
    match failure {
        Failure::Said { .. } => tracing::error!(%failure, "a batch ended in an error of its script; sending it again"),
        Failure::NotSent(_) | Failure::Lost(_) => tracing::debug!(%failure, "the answer to a batch was lost"),
    }
    Outcome::Unknown
}

fn damaged_or_away(failure: Failure) -> ReadError {
    match failure {
        Failure::Said { code, message } if code == "WRONGTYPE" => ReadError::Unreadable(message),
        failure => failure.into(),
    }
}

impl Store for Redis {
    fn commit(&self, batch: Arc<Batch>, life: Life) -> Answer<Outcome> {
        self.verb(|redis| async move { redis.commit(&batch, life).await })
    }

    fn acquire(&self, player: PlayerId, life: Life) -> Answer<Result<Loaded, AcquireError>> {
        self.verb(|redis| async move { redis.acquire(&player, life).await })
    }

    fn inbox(&self, player: PlayerId) -> Answer<Result<Vec<Waiting>, ReadError>> {
        self.verb(|redis| async move { redis.inbox(&player, super::INBOX_READ_MAX).await })
    }

    fn door(&self, player: PlayerId) -> Answer<Result<Door, ReadError>> {
        self.verb(|redis| async move { redis.door(&player).await })
    }

    fn answer(&self, key: OrderKey) -> Answer<Result<Option<KeptAnswer>, ReadError>> {
        self.verb(|redis| async move { redis.answer(key).await })
    }

    fn standings(&self, players: Vec<PlayerId>) -> Answer<Result<Standings, ReadError>> {
        self.verb(|redis| async move { Ok(redis.standings(&players).await?) })
    }

    fn reclaim(&self, player: PlayerId, owner: Owner, at: Revision, life: Life) -> Answer<Result<bool, ReadError>> {
        self.verb(|redis| async move { Ok(redis.reclaim(&player, &owner, at, life).await?) })
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.0.lease)
    }

    fn renew(&self, checked: Life) -> Answer<Result<Renewal, ReadError>> {
        self.verb(move |redis| async move { Ok(redis.sign(redis.lease, Some(checked)).await?) })
    }

    fn resign(&self) -> Answer<()> {
        self.verb(|redis| async move {
            // Whoever resigns has nothing left to do about a failure: the lease ends by itself.
            let _ = redis.sign(Duration::ZERO, Some(Life::default())).await;
            if redis.passing {
                // Its sign stays until it fades: in a young run of Redis, a node without one might still be serving.
                let _ = redis.look(cmd("DEL").arg(redis.keys.mail(&redis.node.id))).await;
                let _ = redis.look(cmd("SREM").arg(redis.keys.nodes()).arg(&redis.node.id)).await;
            }
        })
    }

    fn post(&self, node: String, letter: Bytes) -> Answer<Result<(), ReadError>> {
        self.verb(|redis| async move { Ok(redis.post(&node, &letter).await?) })
    }

    fn letters(&self) -> Answer<Vec<Letter>> {
        self.verb(|redis| async move {
            loop {
                match redis.letters().await {
                    Ok(letters) if letters.is_empty() => {}
                    Ok(letters) => return letters,
                    Err(failure) => {
                        tracing::debug!(%failure, "letters cannot be read");
                        tokio::time::sleep(RETRY_AFTER).await;
                    }
                }
            }
        })
    }

    fn players(&self, mark: Option<String>) -> Answer<Result<Page<PlayerId>, ReadError>> {
        self.verb(|redis| async move { Ok(redis.players(mark).await?) })
    }

    fn peek(&self, player: PlayerId) -> Answer<Result<Option<Stored>, ReadError>> {
        self.verb(|redis| async move { redis.peek(&player).await })
    }

    fn ledger(&self, player: PlayerId, mark: Option<String>) -> Answer<Result<Page<LedgerItem>, ReadError>> {
        self.verb(|redis| async move { redis.ledger(&player, mark).await })
    }

    fn together(&self, players: Vec<PlayerId>) -> Answer<Result<Vec<Found>, ReadError>> {
        self.verb(|redis| async move { Ok(redis.together(&players).await?) })
    }

    fn import(&self, player: PlayerId, stored: Stored, ledger: Vec<LedgerItem>) -> Answer<Result<(), ReadError>> {
        self.verb(|redis| async move { redis.import(&player, &stored, &ledger).await })
    }

    fn alive(&self) -> Answer<Result<Vec<String>, ReadError>> {
        self.verb(|redis| async move { Ok(redis.alive().await?) })
    }

    fn may_regress(&self) -> bool {
        true
    }

    fn home(&self) -> String {
        format!("world {} on a Redis ({})", self.0.world, self.0.keys.world())
    }

    fn node(&self) -> &str {
        &self.0.node.id
    }

    fn name(&self) -> &'static str {
        "redis"
    }

    fn promise(&self) -> String {
        self.0.shared.promise()
    }
}
