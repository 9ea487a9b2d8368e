//! What the bots of one run share: its options, what they learned together, and how far each of them is.

use super::Options;
use crate::{
    catalogue::Catalogue, conservation::Tally, goods::Goods, metrics::Metrics, top_up::TopUp, workload::Workload,
};
use holdall_protocol::ids::{ItemId, PlayerId};
use rand::{Rng as _, rngs::SmallRng};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

/// No bot's number.
const NOBODY: usize = usize::MAX;

/// What all bots of a run share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) workload: Workload,
    pub(crate) catalogue: Catalogue,
    pub(crate) goods: Goods,
    pub(crate) metrics: Arc<Metrics>,
    /// Where bots order what they run out of, if the server does not grant it.
    pub(crate) top_up: Option<Arc<TopUp>>,
    pub(super) epoch: Instant,
    /// When they began to play, as a stamp; before that nothing is measured.
    pub(super) play_from: AtomicU64,
    /// When they stopped.
    pub(super) play_until: AtomicU64,
    members: Vec<Member>,
    /// The bot that reads nothing now and that everybody gives to.
    hanging: AtomicUsize,
    pub(super) joined: AtomicUsize,
    pub(super) drained: AtomicUsize,
    pub(super) gone: AtomicUsize,
    /// Somebody has shown other books than before.
    books_shown: AtomicBool,
}

/// What others know of a bot.
#[derive(Debug)]
struct Member {
    player: PlayerId,
    /// It has a mirror, so that what it is given does not count as its own.
    in_game: AtomicBool,
    drained: AtomicBool,
    gifts: AtomicU64,
    /// Its books, once it has nothing under way.
    books: Mutex<Option<Tally>>,
}

impl World {
    pub(super) fn new(options: Options) -> Self {
        let member = |number: usize| Member {
            player: PlayerId::new(&format!("bot-{number}")).expect("letters, a hyphen and digits"),
            in_game: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            gifts: AtomicU64::new(0),
            books: Mutex::new(None),
        };
        let metrics = Arc::new(Metrics::new());
        let top_up = options.operator.as_ref().map(|operator| TopUp::open(operator, options.seed, &metrics));
        Self {
            top_up,
            workload: Workload::new(&options.mix),
            catalogue: Catalogue::new(),
            goods: Goods::default(),
            metrics,
            epoch: Instant::now(),
            play_from: AtomicU64::new(u64::MAX),
            play_until: AtomicU64::new(u64::MAX),
            members: (1..=options.players()).map(member).collect(),
            hanging: AtomicUsize::new(NOBODY),
            joined: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
            gone: AtomicUsize::new(0),
            books_shown: AtomicBool::new(false),
            options,
        }
    }

    fn member(&self, number: usize) -> &Member {
        self.members.get(number).expect("bots are numbered below the number of bots")
    }

    pub(crate) fn player(&self, number: usize) -> PlayerId {
        self.member(number).player.clone()
    }

    /// Another bot that is in the game, if a few tries find one.
    pub(crate) fn friend(&self, number: usize, rng: &mut SmallRng) -> Option<PlayerId> {
        let mut tries = (0..3).map(|_| rng.random_range(0..self.members.len()));
        let friend = tries.find(|other| *other != number && self.member(*other).in_game.load(Relaxed))?;
        Some(self.player(friend))
    }

    /// A bot reads nothing from now on. One at a time is given all that others give away: spread over many, it would fill
    /// nobody's queue while it hangs.
    pub(crate) fn hangs(&self, number: usize) {
        let _ = self.hanging.compare_exchange(NOBODY, number, Relaxed, Relaxed);
    }

    /// A bot reads.
    pub(crate) fn reads(&self, number: usize) {
        let _ = self.hanging.compare_exchange(number, NOBODY, Relaxed, Relaxed);
    }

    /// Who reads nothing now and is to be given things, if that is somebody else.
    pub(crate) fn hanging(&self, number: usize) -> Option<PlayerId> {
        let hanging = self.hanging.load(Relaxed);
        (hanging != NOBODY && hanging != number).then(|| self.player(hanging))
    }

    /// A gift is about to be sent to this player.
    pub(crate) fn announce_gift(&self, to: &PlayerId) {
        let number = to.as_str().strip_prefix("bot-").and_then(|number| number.parse::<usize>().ok());
        if let Some(member) = number.and_then(|number| self.members.get(number.checked_sub(1)?)) {
            member.gifts.fetch_add(1, Relaxed);
        }
    }

    /// How many gifts were sent to a bot, whether they arrived or not.
    pub(crate) fn gifts_to(&self, number: usize) -> u64 {
        self.member(number).gifts.load(Relaxed)
    }

    /// A bot has its first mirror.
    pub(crate) fn joined(&self, number: usize) {
        self.member(number).in_game.store(true, Relaxed);
        self.joined.fetch_add(1, Relaxed);
    }

    /// A bot has no request under way and will send no more.
    pub(crate) fn drained(&self, number: usize) {
        if !self.member(number).drained.swap(true, Relaxed) {
            self.drained.fetch_add(1, Relaxed);
        }
    }

    /// A bot that has nothing under way shows how it stands.
    pub(crate) fn show_books(&self, number: usize, books: Tally) {
        *self.member(number).books.lock().unwrap_or_else(PoisonError::into_inner) = Some(books);
        self.books_shown.store(true, Relaxed);
    }

    /// Whether everybody has shown their books and nothing may wait in an inbox. Who is gone will never show any.
    pub(super) fn has_collected(&self) -> bool {
        if self.gone.load(Relaxed) > 0 {
            return true;
        }
        if !self.books_shown.swap(false, Relaxed) {
            return false;
        }
        let mut all = Tally::default();
        for member in &self.members {
            match member.books.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                Some(books) => all.add(books),
                None => return false,
            }
        }
        self.settle(&mut all);
        !all.awaits_gifts()
    }

    /// Enters in everybody's books what was ordered for them.
    pub(super) fn settle(&self, books: &mut Tally) {
        if let Some(top_up) = &self.top_up {
            top_up.settle(books);
        }
    }

    /// Orders something for a bot; false where that is not possible now.
    pub(crate) fn order(&self, number: usize, item: &ItemId, quantity: u64) -> bool {
        let member = self.member(number);
        // Announced first: it may arrive before the answer.
        member.gifts.fetch_add(1, Relaxed);
        let ordered = self.top_up.as_ref().is_some_and(|top_up| top_up.order(&member.player, item, quantity));
        if !ordered {
            member.gifts.fetch_sub(1, Relaxed);
        }
        ordered
    }

    /// Whether a number of bots have drained, and nothing is on its way to them.
    pub(super) fn is_drained(&self, bots: usize) -> bool {
        self.drained.load(Relaxed) >= bots && self.top_up.as_ref().is_none_or(|top_up| top_up.is_settled())
    }

    /// A bot has ended, maybe before its time: nobody waits for it.
    pub(crate) fn count_out(&self, number: usize, joined: bool) {
        self.member(number).in_game.store(false, Relaxed);
        self.reads(number);
        if !joined {
            self.joined.fetch_add(1, Relaxed);
        }
        self.gone.fetch_add(1, Relaxed);
        self.drained(number);
    }

    /// The time between two actions of one bot when all bots together act so many times a second.
    pub(crate) fn interval(&self, per_second: f64) -> Duration {
        let bots = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        Duration::try_from_secs_f64(f64::from(bots) / per_second).unwrap_or(Duration::MAX / 4)
    }

    /// When everybody leaves the next time.
    pub(crate) fn next_storm(&self, now: Instant) -> Option<Instant> {
        let storm = self.options.storm?;
        let began = self.epoch + Duration::from_nanos(self.play_from.load(Relaxed));
        let every = storm.every.max(Duration::from_millis(1));
        let past = now.saturating_duration_since(began).as_nanos() / every.as_nanos();
        Some(began + every * u32::try_from(past + 1).unwrap_or(u32::MAX))
    }

    /// When they stopped playing, or now.
    pub(crate) fn play_ended(&self, now: Instant) -> Instant {
        let until = Duration::from_nanos(self.play_until.load(Relaxed));
        self.epoch.checked_add(until).map_or(now, |until| until.min(now))
    }

    /// A moment as a number for the checker to carry.
    pub(crate) fn stamp(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long ago a stamp was made, where that was while they played.
    pub(crate) fn latency(&self, stamp: u64) -> Option<Duration> {
        let played = self.play_from.load(Relaxed)..self.play_until.load(Relaxed);
        played.contains(&stamp).then(|| self.epoch.elapsed().saturating_sub(Duration::from_nanos(stamp)))
    }
}
