//! The store in a file: nothing to install, one process at a time.
//!
//! A redb database with one writer thread. What waits in its queue shares one transaction, so that logins and commits
//! pay for one disk sync together. An error of the disk is final for the process: a sync that failed once says nothing
//! about what a second one would have kept.

mod answers;
mod snapshot;
mod stock;
mod writer;

use self::stock::{Counter, Failure, Shop};
use super::{
    AcquireError, Answer, Batch, Door, Found, GiftId, Header, INBOX_READ_MAX, KeptAnswer, LedgerItem, Letter, Life,
    Loaded, Node, Opening, Outcome, Owner, Page, PlayerWrite, Preferences, ReadError, Renewal, Standing, Standings,
    Store, Stored, Waiting, stock::Tally,
};
use answers::{ANSWER_TIMES, ANSWERS, Answers};
use bytes::Bytes;
use holdall_protocol::ids::{OrderKey, PlayerId, Revision, Seq};
use redb::{Database, ReadableTable, StorageBackend, Table, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use snapshot::{Look, Snapshot};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use writer::{Asked, Verb, Writer};

/// Player → [`HeaderRow`].
const PLAYERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("players");
/// Player, 0, place → value. Player ids contain no zero byte, so that one player's places are one range.
const PLACES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("places");
/// Player, 0, newest revision as 8 big-endian bytes → the entries that one batch added.
const LEDGER: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("ledger");
/// Player, 0, gift id as 16 bytes → the gift.
const INBOX: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("inbox");
/// `format` → 1.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: u64 = 1;

/// Verbs that one transaction takes at most, so that nobody waits long.
const VERBS_PER_TRANSACTION: usize = 256;
/// Batches of entries read back at a load: as many entries at least.
const RECENT_ITEMS: usize = 64;

/// What a player's row holds beside its places.
#[derive(Debug, Default, Serialize, Deserialize)]
struct HeaderRow {
    owner: Option<String>,
    epoch: u64,
    revision: u64,
    seq: u64,
    batch: Option<[u8; 16]>,
    schema: u32,
    content: u32,
    saved_at: u64,
    /// Absent in headers of earlier builds.
    #[serde(default)]
    readable_by: u32,
    /// Likewise: it is not known who wrote their revisions.
    #[serde(default)]
    writer: Option<String>,
    /// Likewise.
    #[serde(default)]
    preferences: Preferences,
    /// The revision that the ledger's opening stands for; 0 where it has none, as in headers of earlier builds.
    #[serde(default)]
    opened: u64,
}

impl HeaderRow {
    fn header(&self) -> Header {
        Header {
            owner: self.owner.as_deref().map(Owner::stored),
            epoch: self.epoch,
            revision: Revision::new(self.revision),
            writer: self.writer.as_deref().map(Owner::stored),
        }
    }
}

/// A whole player to be put where there is none.
struct Import {
    player: PlayerId,
    stored: Stored,
    ledger: Vec<LedgerItem>,
}

/// Why the file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it, or the disk says no.
    #[error("the store cannot be opened: {0}")]
    Database(#[from] redb::Error),
    /// Written by a newer build.
    #[error("the store has format {found}, this build reads {FORMAT}: use the newer build")]
    Format {
        /// The format that the file names.
        found: u64,
    },
    /// No thread for the writer.
    #[error("the store's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The handle: verbs go to the writer thread, which ends when the last handle is dropped.
#[derive(Clone)]
pub struct Embedded {
    node: Node,
    queue: mpsc::UnboundedSender<Box<dyn Verb>>,
    tally: Tally,
    /// For whoever only looks: readers see the last commit and never wait for the writer.
    database: Arc<Database>,
}

impl Embedded {
    /// Opens or creates the file, with `cache_bytes` of page cache.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed.
    pub fn open(path: &Path, cache_bytes: usize, node: Node) -> Result<Self, OpenError> {
        let database = Database::builder().set_cache_size(cache_bytes).create(path).map_err(redb::Error::from)?;
        Self::start(database, node)
    }

    /// Opens the database on a storage of the caller's: a disk that lies, tears and fails.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_on(backend: impl StorageBackend, node: Node) -> Result<Self, OpenError> {
        let database = Database::builder().create_with_backend(backend).map_err(redb::Error::from)?;
        Self::start(database, node)
    }

    fn start(database: Database, node: Node) -> Result<Self, OpenError> {
        check_format(&database)?;
        let database = Arc::new(database);
        let (written, of_writer) = (database.clone(), node.clone());
        let (queue, mut verbs) = mpsc::unbounded_channel();
        std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            let mut writer = Writer { database: written, node: of_writer, broken: None };
            let mut taken = Vec::new();
            while verbs.blocking_recv_many(&mut taken, VERBS_PER_TRANSACTION) > 0 {
                writer.run(std::mem::take(&mut taken));
            }
        })?;
        Ok(Self { node, queue, tally: Tally::default(), database })
    }

    /// Reads the last commit on a thread that may block.
    fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot) -> Look<T> + Send + 'static,
    ) -> Answer<Result<T, ReadError>> {
        self.look_through(Snapshot::open, look)
    }

    /// The same through the tables that `open` opens.
    fn look_through<S: 'static, T: Send + 'static>(
        &self,
        open: fn(&Database) -> Result<S, redb::Error>,
        look: impl FnOnce(&S) -> Look<T> + Send + 'static,
    ) -> Answer<Result<T, ReadError>> {
        let database = self.database.clone();
        let looked = tokio::task::spawn_blocking(move || look(&open(&database)?));
        Box::pin(async move {
            match looked.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => Err(ReadError::Unavailable(error.to_string())),
                Err(error) => Err(ReadError::Unavailable(error.to_string())),
            }
        })
    }

    /// Runs a verb on the writer thread. `failed` makes its answer out of what the disk said when it failed.
    fn ask<A: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Tables<'_>, &Node) -> Result<A, redb::Error> + Send + 'static,
        failed: fn(String) -> A,
    ) -> Answer<A> {
        let (to, receiver) = oneshot::channel();
        // A thread that is gone drops the sender: both ways the answer is that it has stopped.
        let _ = self.queue.send(Box::new(Asked { run: Some(run), answer: None, failed, to }));
        Box::pin(async move { receiver.await.unwrap_or_else(|_| failed(STOPPED.to_owned())) })
    }
}

fn check_format(database: &Database) -> Result<(), OpenError> {
    let mut write = database.begin_write().map_err(redb::Error::from)?;
    write.set_quick_repair(true);
    let found = {
        let mut meta = write.open_table(META).map_err(redb::Error::from)?;
        write.open_table(PLAYERS).map_err(redb::Error::from)?;
        write.open_table(PLACES).map_err(redb::Error::from)?;
        write.open_table(LEDGER).map_err(redb::Error::from)?;
        write.open_table(INBOX).map_err(redb::Error::from)?;
        write.open_table(ANSWERS).map_err(redb::Error::from)?;
        write.open_table(ANSWER_TIMES).map_err(redb::Error::from)?;
        Shop::open(&write)?;
        let found = meta.get("format").map_err(redb::Error::from)?.map(|format| format.value());
        if found.is_none() {
            meta.insert("format", FORMAT).map_err(redb::Error::from)?;
        }
        found
    };
    write.commit().map_err(redb::Error::from)?;
    match found {
        None | Some(FORMAT) => Ok(()),
        Some(found) => Err(OpenError::Format { found }),
    }
}

struct Tables<'t> {
    players: Table<'t, &'static str, &'static [u8]>,
    places: Table<'t, &'static [u8], &'static [u8]>,
    ledger: Table<'t, &'static [u8], &'static [u8]>,
    inbox: Table<'t, &'static [u8], &'static [u8]>,
    answers: Answers<'t>,
    write: &'t WriteTransaction,
    /// Opened by the first verb that needs it.
    shop: Option<Shop<'t>>,
}

impl<'t> Tables<'t> {
    fn open(write: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            players: write.open_table(PLAYERS)?,
            places: write.open_table(PLACES)?,
            ledger: write.open_table(LEDGER)?,
            inbox: write.open_table(INBOX)?,
            answers: Answers { kept: write.open_table(ANSWERS)?, times: write.open_table(ANSWER_TIMES)? },
            write,
            shop: None,
        })
    }

    /// What a deed may change.
    fn counter(&mut self) -> Result<Counter<'_, 't>, redb::Error> {
        let shop = match self.shop.take() {
            Some(shop) => shop,
            None => Shop::open(self.write)?,
        };
        Ok(Counter { players: &mut self.players, answers: &mut self.answers, shop: self.shop.insert(shop) })
    }

    fn commit(&mut self, batch: &Batch) -> Result<Outcome, redb::Error> {
        let mut headers = Vec::with_capacity(batch.players.len());
        let mut standings = Vec::with_capacity(batch.players.len());
        for write in &batch.players {
            // A header that cannot be read was never loaded, so whoever writes it is not its owner.
            let header = snapshot::header(&self.players, &write.player)?.unwrap_or_default().unwrap_or_default();
            if header.batch.as_ref() == Some(batch.id.as_bytes()) {
                return Ok(Outcome::Already);
            }
            let standing = Standing::of(write, &header.header(), self.has_all(write)? && self.can_pay(write)?);
            standings.push((write.player.clone(), standing));
            headers.push(header);
        }
        if let Some(refused) = Standing::verdict(&standings) {
            return Ok(refused);
        }
        for (write, header) in batch.players.iter().zip(headers) {
            self.write(write, header, batch)?;
        }
        Ok(Outcome::Applied)
    }

    /// Whether every gift that is taken is there.
    fn has_all(&self, write: &PlayerWrite) -> Result<bool, redb::Error> {
        for (owner, gift) in write.taken() {
            if self.inbox.get(key_of_gift(owner, *gift).as_slice())?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write(&mut self, write: &PlayerWrite, header: HeaderRow, batch: &Batch) -> Result<(), redb::Error> {
        let mut key = key_of(&write.player);
        let prefix = key.len();
        for (place, value) in &write.places {
            key.truncate(prefix);
            key.extend_from_slice(place.as_bytes());
            match value {
                Some(value) => self.places.insert(key.as_slice(), value.as_ref())?,
                None => self.places.remove(key.as_slice())?,
            };
        }
        if let Some(opening) = &write.opening {
            self.open_ledger(&write.player, opening)?;
        }
        if !write.entries.is_empty() {
            key.truncate(prefix);
            key.extend_from_slice(&write.revision.get().to_be_bytes());
            self.ledger.insert(key.as_slice(), write.entries.as_ref())?;
        }
        for change in &write.inbox {
            let key = key_of_gift(&change.owner, change.gift);
            match &change.content {
                Some(content) => self.inbox.insert(key.as_slice(), content.as_ref())?,
                None => self.inbox.remove(key.as_slice())?,
            };
        }
        let answers = write.answers.iter().map(|kept| (kept.key.as_str(), kept.order, kept.bytes.as_ref()));
        self.answers.keep(answers, write.saved_at)?;
        self.pay(write)?;
        let owner = if write.release { None } else { header.owner };
        let writer = if write.advances() { Some(write.owner.as_str().to_owned()) } else { header.writer };
        put_header(
            &mut self.players,
            &write.player,
            &HeaderRow {
                owner,
                epoch: header.epoch,
                revision: write.revision.get(),
                seq: write.seq.get(),
                batch: Some(*batch.id.as_bytes()),
                schema: write.schema,
                content: write.content,
                saved_at: write.saved_at,
                readable_by: write.readable_by,
                preferences: write.preferences.unwrap_or(header.preferences),
                writer,
                opened: write.opening.as_ref().map_or(header.opened, |opening| opening.revision.get()),
            },
        )
    }

    /// Puts an opening in the place of the items that it stands for.
    fn open_ledger(&mut self, player: &PlayerId, opening: &Opening) -> Result<(), redb::Error> {
        let (begin, _) = snapshot::range_of(player);
        let mut last = begin.clone();
        last.extend_from_slice(&opening.revision.get().to_be_bytes());
        self.ledger.retain_in(begin.as_slice()..=last.as_slice(), |_, _| false)?;
        self.ledger.insert(last.as_slice(), opening.content.as_ref())?;
        Ok(())
    }

    fn acquire(&mut self, node: &Node, player: &PlayerId) -> Result<Result<Loaded, AcquireError>, redb::Error> {
        let mut header = match snapshot::header(&self.players, player)? {
            Ok(header) => header.unwrap_or_default(),
            Err(error) => return Ok(Err(AcquireError::Unreadable(error))),
        };
        // The file is open in this process alone, so that every other owner is an earlier boot, and dead.
        header.epoch = header.epoch.saturating_add(1);
        let owner = Owner::new(node, header.epoch);
        header.owner = Some(owner.as_str().to_owned());
        let places = match snapshot::places(&self.places, player)? {
            Ok(places) => places,
            Err(error) => return Ok(Err(AcquireError::Unreadable(error))),
        };
        let (key, end) = snapshot::range_of(player);
        let mut recent = Vec::new();
        for row in self.ledger.range(key.as_slice()..end.as_slice())?.rev().take(RECENT_ITEMS) {
            recent.push(Bytes::copy_from_slice(row?.1.value()));
        }
        recent.reverse();
        let has_mail = self.inbox.range(key.as_slice()..end.as_slice())?.next().is_some();
        let holds = match Failure::sort(self.counter()?.shop.holds_of(player))? {
            Ok(holds) => holds,
            Err(error) => return Ok(Err(AcquireError::Unreadable(error.to_string()))),
        };
        put_header(&mut self.players, player, &header)?;
        Ok(Ok(Loaded {
            owner,
            revision: Revision::new(header.revision),
            seq: Seq::new(header.seq),
            schema: header.schema,
            readable_by: header.readable_by,
            content: header.content,
            places,
            recent,
            preferences: header.preferences,
            has_mail,
            opened: Revision::new(header.opened),
            writer: header.writer.as_deref().map(Owner::stored),
            holds,
        }))
    }

    fn import(&mut self, import: &Import) -> Result<Result<(), ReadError>, redb::Error> {
        let Import { player, stored, ledger } = import;
        if self.players.get(player.as_str())?.is_some() {
            return Ok(Err(ReadError::Exists));
        }
        let mut key = key_of(player);
        let prefix = key.len();
        for (place, value) in &stored.places {
            key.truncate(prefix);
            key.extend_from_slice(place.as_bytes());
            self.places.insert(key.as_slice(), value.as_ref())?;
        }
        for (newest, entries) in ledger {
            key.truncate(prefix);
            key.extend_from_slice(&newest.get().to_be_bytes());
            self.ledger.insert(key.as_slice(), entries.as_ref())?;
        }
        for (gift, content) in &stored.inbox {
            key.truncate(prefix);
            key.extend_from_slice(gift.as_bytes());
            self.inbox.insert(key.as_slice(), content.as_ref())?;
        }
        let header = HeaderRow {
            owner: None,
            epoch: stored.epoch,
            revision: stored.revision.get(),
            seq: stored.seq.get(),
            batch: None,
            schema: stored.schema,
            content: stored.content,
            saved_at: stored.saved_at,
            readable_by: stored.readable_by,
            preferences: stored.preferences,
            opened: stored.opened.get(),
            writer: stored.writer.as_ref().map(|writer| writer.as_str().to_owned()),
        };
        put_header(&mut self.players, player, &header)?;
        Ok(Ok(()))
    }
}

fn put_header(
    players: &mut Table<'_, &'static str, &'static [u8]>,
    player: &PlayerId,
    header: &HeaderRow,
) -> Result<(), redb::Error> {
    let bytes = rmp_serde::to_vec(header).expect("a header serialises into memory");
    players.insert(player.as_str(), bytes.as_slice())?;
    Ok(())
}

/// The prefix of all keys of one player.
fn key_of(player: &PlayerId) -> Vec<u8> {
    let mut key = Vec::with_capacity(player.as_str().len().saturating_add(48));
    key.extend_from_slice(player.as_str().as_bytes());
    key.push(0);
    key
}

fn key_of_gift(owner: &PlayerId, gift: GiftId) -> Vec<u8> {
    let mut key = key_of(owner);
    key.extend_from_slice(gift.as_bytes());
    key
}

impl Store for Embedded {
    fn commit(&self, batch: Arc<Batch>, _: Life) -> Answer<Outcome> {
        let tally = self.tally.clone();
        let commit = move |tables: &mut Tables<'_>, _: &Node| Ok(tally.with_purchases(&batch, tables.commit(&batch)?));
        self.ask(commit, |error| Outcome::Broken { error })
    }

    fn acquire(&self, player: PlayerId, _: Life) -> Answer<Result<Loaded, AcquireError>> {
        self.ask(move |tables, node| tables.acquire(node, &player), |error| Err(AcquireError::Unavailable(error)))
    }

    fn inbox(&self, player: PlayerId) -> Answer<Result<Vec<Waiting>, ReadError>> {
        self.look(move |file| file.inbox(&player, INBOX_READ_MAX))
    }

    fn door(&self, player: PlayerId) -> Answer<Result<Door, ReadError>> {
        self.look(move |file| file.door(&player))
    }

    fn answer(&self, key: OrderKey) -> Answer<Result<Option<KeptAnswer>, ReadError>> {
        self.look(move |file| file.answer(&key).map(Ok))
    }

    fn standings(&self, players: Vec<PlayerId>) -> Answer<Result<Standings, ReadError>> {
        self.look(move |file| {
            let headers = players.iter().map(|player| {
                // As in a commit: what cannot be read was never loaded.
                Ok(file.header(player)?.unwrap_or_default().unwrap_or_default().header())
            });
            Ok(Ok(Standings { life: Life::default(), headers: headers.collect::<Result<_, redb::Error>>()? }))
        })
    }

    fn reclaim(&self, player: PlayerId, owner: Owner, _: Revision, _: Life) -> Answer<Result<bool, ReadError>> {
        // This store forgets nothing.
        self.look(move |file| {
            let row = file.header(&player)?.unwrap_or_default().unwrap_or_default();
            Ok(Ok(row.owner.as_deref() == Some(owner.as_str())))
        })
    }

    fn lease(&self) -> Option<Duration> {
        None
    }

    fn renew(&self, _: Life) -> Answer<Result<Renewal, ReadError>> {
        Box::pin(std::future::ready(Ok(Renewal::Held(Life::default()))))
    }

    fn resign(&self) -> Answer<()> {
        Box::pin(std::future::ready(()))
    }

    fn post(&self, _: String, _: Bytes) -> Answer<Result<(), ReadError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn letters(&self) -> Answer<Vec<Letter>> {
        // The file is open in this process alone: nobody is there to write.
        Box::pin(std::future::pending())
    }

    fn players(&self, mark: Option<String>) -> Answer<Result<Page<PlayerId>, ReadError>> {
        self.look(move |file| file.players(mark.as_deref()).map(Ok))
    }

    fn peek(&self, player: PlayerId) -> Answer<Result<Option<Stored>, ReadError>> {
        self.look(move |file| file.peek(&player))
    }

    fn ledger(&self, player: PlayerId, mark: Option<String>) -> Answer<Result<Page<LedgerItem>, ReadError>> {
        self.look(move |file| file.ledger(&player, mark.as_deref()))
    }

    fn together(&self, players: Vec<PlayerId>) -> Answer<Result<Vec<Found>, ReadError>> {
        self.look(move |file| players.iter().map(|player| file.whole(player)).collect::<Result<_, _>>().map(Ok))
    }

    fn import(&self, player: PlayerId, stored: Stored, ledger: Vec<LedgerItem>) -> Answer<Result<(), ReadError>> {
        let import = Import { player, stored, ledger };
        self.ask(move |tables, _| tables.import(&import), |error| Err(ReadError::Unavailable(error)))
    }

    fn alive(&self) -> Answer<Result<Vec<String>, ReadError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn may_regress(&self) -> bool {
        false
    }

    fn home(&self) -> String {
        "the embedded store".to_owned()
    }

    fn node(&self) -> &str {
        &self.node.id
    }

    fn name(&self) -> &'static str {
        "embedded"
    }

    fn promise(&self) -> String {
        "a commit survives kill -9 and, as far as the disk keeps its word, a power cut".to_owned()
    }
}

const STOPPED: &str = "the store's thread has stopped";
