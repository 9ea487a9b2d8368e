//! The desk: every trade of this process that is not over, behind one lock.
//!
//! The order of locks is desk, then players by id, then the journal's pending set; none is held across an await. Called
//! by `session` for each step, by `app` to run it and to stop. What is put up is locked in the players (`engine::offer`);
//! a trade that ends, however it does, takes those locks off and tells both.

mod floor;
mod steps;

use super::trade::{End, Expiry, Trade, Who};
use crate::roster::{
    Roster,
    allowance::Invites,
    cell::Inner,
    pair,
    trades::{Departure, Departures},
};
use floor::Floor;
use holdall_protocol::{
    ids::{Incarnation, PlayerId, TradeId},
    message::TradeEnd,
};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::{
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};
pub use steps::{Done, TradeRefused, Wish};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The desk's bounds.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long an invite waits for its answer.
    pub invite_expiry: Duration,
    /// How long an open trade stays after its last change.
    pub trade_expiry: Duration,
    /// Invites that a player may send.
    pub invites: Invites,
    /// Invites that may wait for one player's answer.
    pub incoming_max: usize,
}

/// All trades of a process.
pub struct TradeDesk {
    roster: Arc<Roster>,
    options: RwLock<Options>,
    floor: Mutex<Floor>,
    /// Who has left with trades that are not over, and is to be dealt with before anything else.
    left: Mutex<Vec<Left>>,
    /// Somebody left, or the next expiry is another.
    wake: Notify,
}

struct Left {
    player: PlayerId,
    load: Incarnation,
    how: Departure,
}

/// The desk, locked: nobody else's trade moves meanwhile.
pub struct Entered<'a> {
    desk: &'a TradeDesk,
    floor: MutexGuard<'a, Floor>,
}

impl TradeDesk {
    /// A desk for the players of a roster, which tells it of departures from now on.
    #[must_use]
    pub fn new(roster: Arc<Roster>, options: Options) -> Arc<Self> {
        let floor = Mutex::default();
        let options = RwLock::new(options);
        let desk = Arc::new(Self { roster, options, floor, left: Mutex::default(), wake: Notify::new() });
        desk.roster.set_departures(Arc::new(Watch(Arc::downgrade(&desk))));
        desk
    }

    /// The bounds in force.
    fn options(&self) -> Options {
        *self.options.read()
    }

    /// Other bounds from now on. What began before ends when it would have.
    pub fn set_options(&self, options: Options) {
        *self.options.write() = options;
    }

    /// Locks the desk, once trades that are over by themselves have been closed. The caller holds no player's lock.
    pub fn enter(&self) -> Entered<'_> {
        let mut entered = Entered { desk: self, floor: self.floor.lock() };
        let left = std::mem::take(&mut *self.left.lock());
        for Left { player, load, how } in left {
            let why = match how {
                Departure::Unloaded => TradeEnd::Disconnected,
                Departure::Lost => TradeEnd::Lost,
            };
            for trade in entered.floor.of_load(&player, load) {
                entered.close(trade, why);
            }
        }
        let now = Instant::now();
        while let Some(trade) = entered.floor.expired(now) {
            entered.close(trade, TradeEnd::Expired);
        }
        entered
    }

    /// Closes trades as they expire or lose a player, for ever. Run it once, as a task of its own.
    pub async fn run(self: Arc<Self>) -> Infallible {
        loop {
            let next = self.enter().floor.next_expiry();
            tokio::select! {
                biased;
                () = self.wake.notified() => {}
                () = until(next) => {}
            }
        }
    }

    /// Closes every trade, because the server stops.
    pub fn close_all(&self) {
        let mut entered = self.enter();
        for trade in entered.floor.all() {
            entered.close(trade, TradeEnd::Stopped);
        }
    }

    fn expiry(&self, after: Duration) -> Expiry {
        let now = Instant::now();
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Expiry { at: now.checked_add(after).unwrap_or(now), told_ms: self.roster.clock.now_ms().saturating_add(ms) }
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Entered<'_> {
    /// The other player of a trade that this one takes part in.
    #[must_use]
    pub fn partner(&self, trade: TradeId, player: &PlayerId) -> Option<PlayerId> {
        let trade = self.floor.get(trade)?;
        trade.who(player).map(|who| trade.side(who.other()).player.clone())
    }

    /// Closes a trade whose players nobody has locked.
    fn close(&mut self, trade: TradeId, why: TradeEnd) {
        let Some(trade) = self.floor.remove(trade) else { return };
        let roster = &self.desk.roster;
        let [inviter, invited] = trade.players().map(|player| roster.find(player));
        let end = End::Closed(why);
        match (&inviter, &invited) {
            (Some(inviter), Some(invited)) => {
                let (mut one, mut other) = pair::lock(inviter, invited);
                roster.end_trade(&mut one, &trade, Who::Inviter, end);
                roster.end_trade(&mut other, &trade, Who::Invited, end);
            }
            (Some(inviter), None) => roster.end_trade(&mut inviter.lock(), &trade, Who::Inviter, end),
            (None, Some(invited)) => roster.end_trade(&mut invited.lock(), &trade, Who::Invited, end),
            (None, None) => {}
        }
    }
}

impl Roster {
    /// Frees one side of a trade that is over, and tells it.
    fn end_trade(&self, inner: &mut Inner, trade: &Trade, who: Who, end: End) {
        let Some(seat) = inner.seat() else { return };
        // A load of its own knows nothing of what an earlier one had put up.
        if seat.incarnation != trade.side(who).load {
            return;
        }
        if trade.is_open() {
            seat.player.unlock();
        }
        self.tell_trade(inner, trade.ended(who, end));
    }
}

/// The roster's way to the desk, which owns the roster in turn.
struct Watch(Weak<TradeDesk>);

impl Departures for Watch {
    fn left(&self, player: &PlayerId, load: Incarnation, how: Departure) {
        let Some(desk) = self.0.upgrade() else { return };
        desk.left.lock().push(Left { player: player.clone(), load, how });
        desk.wake.notify_one();
    }
}
