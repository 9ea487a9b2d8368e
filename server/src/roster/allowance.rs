//! How much a player may still ask for: kept with the player, so that reconnecting gains nothing.

use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference as _},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use holdall_protocol::ids::PlayerId;
use parking_lot::{Mutex, RwLock};
use std::{collections::VecDeque, num::NonZeroU32, time::Duration};
use tokio::time::Instant;

/// What a player may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Requests.
    pub actions: Quota,
    /// Gifts among them.
    pub gifts: Quota,
    /// Holds in the shop among them.
    pub holds: Quota,
}

impl Quotas {
    /// So many requests a second with so many at once, and so many gifts and holds a minute with so many at once.
    #[must_use]
    pub fn new(
        actions: (NonZeroU32, NonZeroU32),
        gifts: (NonZeroU32, NonZeroU32),
        holds: (NonZeroU32, NonZeroU32),
    ) -> Self {
        Self {
            actions: Quota::per_second(actions.0).allow_burst(actions.1),
            gifts: Quota::per_minute(gifts.0).allow_burst(gifts.1),
            holds: Quota::per_minute(holds.0).allow_burst(holds.1),
        }
    }
}

/// Tokio's clock, so that paused tests pause the limiter too.
#[derive(Debug, Clone)]
pub struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Nanos>>;

/// The limiters of one player's quotas.
#[derive(Debug)]
struct Limiters {
    quotas: Quotas,
    actions: Limiter,
    gifts: Limiter,
    holds: Limiter,
}

impl Limiters {
    fn new(quotas: Quotas) -> Self {
        let clock = RuntimeClock(Instant::now());
        Self {
            quotas,
            actions: Limiter::direct_with_clock(quotas.actions, clock.clone()),
            gifts: Limiter::direct_with_clock(quotas.gifts, clock.clone()),
            holds: Limiter::direct_with_clock(quotas.holds, clock),
        }
    }
}

/// What one player may still ask for.
#[derive(Debug)]
pub struct Allowance {
    /// Written by a reload only: a player's requests never wait for each other here.
    limiters: RwLock<Limiters>,
    /// Invites to trade of the last minute, oldest first.
    invites: Mutex<VecDeque<(Instant, PlayerId)>>,
}

/// Invites to trade in any minute.
#[derive(Debug, Clone, Copy)]
pub struct Invites {
    /// To whomever.
    pub max: usize,
    /// To one and the same player.
    pub per_pair_max: usize,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Allowance {
    /// Full.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self { limiters: RwLock::new(Limiters::new(quotas)), invites: Mutex::default() }
    }

    /// From now on, this much. Other quotas than before begin full; with the same ones nothing is given back.
    pub fn set(&self, quotas: Quotas) {
        let mut limiters = self.limiters.write();
        if limiters.quotas != quotas {
            *limiters = Limiters::new(quotas);
        }
    }

    /// Takes one request.
    ///
    /// # Errors
    /// How long to wait before one is allowed again.
    pub fn action(&self) -> Result<(), Duration> {
        take(&self.limiters.read().actions)
    }

    /// Takes one gift.
    ///
    /// # Errors
    /// How long to wait before one is allowed again.
    pub fn gift(&self) -> Result<(), Duration> {
        take(&self.limiters.read().gifts)
    }

    /// Takes one hold in the shop.
    ///
    /// # Errors
    /// How long to wait before one is allowed again.
    pub fn hold(&self) -> Result<(), Duration> {
        take(&self.limiters.read().holds)
    }

    /// Takes one invite to this player.
    ///
    /// # Errors
    /// How long to wait before one is allowed again.
    pub fn invite(&self, to: &PlayerId, limits: Invites) -> Result<(), Duration> {
        let now = Instant::now();
        let mut sent = self.invites.lock();
        while sent.pop_front_if(|(at, _)| now.duration_since(*at) >= MINUTE).is_some() {}
        let in_all = sent.iter().nth_back(limits.max.saturating_sub(1));
        let to_them = sent.iter().filter(|(_, other)| other == to).nth_back(limits.per_pair_max.saturating_sub(1));
        match in_all.max(to_them) {
            Some((at, _)) => Err(MINUTE.saturating_sub(now.duration_since(*at))),
            None => {
                sent.push_back((now, to.clone()));
                Ok(())
            }
        }
    }
}

fn take(limiter: &Limiter) -> Result<(), Duration> {
    limiter.check().map_err(|not_until| {
        let now = limiter.clock().now();
        not_until.earliest_possible().duration_since(now).into()
    })
}
