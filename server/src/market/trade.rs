//! One trade: invited → open → settled, or closed.
//!
//! Pure: no lock, no clock, no player's things. Knows who takes part, what each side shows, and whether both agree to the
//! same. Called by `trade_desk`, which locks the things and settles.

use holdall_protocol::{
    ids::{Incarnation, PlayerId, TradeId},
    message::{self, TradeEnd, TradeOffer, TradeStage},
};
use tokio::time::Instant;

/// One of the two who trade.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Side {
    pub(super) player: PlayerId,
    /// The load of the player that takes part: what is locked is locked in that one only.
    pub(super) load: Incarnation,
    /// What the side puts up, as both are shown it.
    pub(super) offer: TradeOffer,
}

impl Side {
    pub(super) fn new(player: PlayerId, load: Incarnation) -> Self {
        Self { player, load, offer: TradeOffer::default() }
    }
}

/// Which of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Inviter,
    Invited,
}

/// When a trade ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expiry {
    pub(super) at: Instant,
    /// The same as told, in milliseconds since 1970.
    pub(super) told_ms: u64,
}

/// How a trade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Settled,
    Closed(TradeEnd),
}

/// What an accept came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepted {
    /// The other side has yet to agree.
    Waiting,
    /// Both agree to the same: it can settle.
    Both,
}

/// The accept was meant for other offers than these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changed;

/// A trade that is not over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trade {
    pub(super) id: TradeId,
    inviter: Side,
    invited: Side,
    is_open: bool,
    /// Counts the changes of both offers.
    offer_revision: u64,
    pub(super) expiry: Expiry,
}

impl Trade {
    /// An invite.
    pub(super) const fn new(id: TradeId, inviter: Side, invited: Side, expiry: Expiry) -> Self {
        Self { id, inviter, invited, is_open: false, offer_revision: 0, expiry }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn who(&self, player: &PlayerId) -> Option<Who> {
        if self.inviter.player == *player {
            Some(Who::Inviter)
        } else {
            (self.invited.player == *player).then_some(Who::Invited)
        }
    }

    pub(super) const fn side(&self, who: Who) -> &Side {
        match who {
            Who::Inviter => &self.inviter,
            Who::Invited => &self.invited,
        }
    }

    pub(super) const fn players(&self) -> [&PlayerId; 2] {
        [&self.inviter.player, &self.invited.player]
    }

    /// The invite was taken.
    pub(super) const fn open(&mut self, expiry: Expiry) {
        self.is_open = true;
        self.expiry = expiry;
    }

    /// One side puts up something else: nobody has agreed to that.
    pub(super) fn offer(&mut self, who: Who, offer: TradeOffer, expiry: Expiry) {
        match who {
            Who::Inviter => self.inviter.offer = offer,
            Who::Invited => self.invited.offer = offer,
        }
        self.inviter.offer.accepted = false;
        self.invited.offer.accepted = false;
        self.offer_revision = self.offer_revision.saturating_add(1);
        self.expiry = expiry;
    }

    /// One side agrees to the offers of this revision. What both agree to is not marked as accepted: it settles, or the
    /// last accept did not happen.
    pub(super) const fn accept(&mut self, who: Who, seen: u64) -> Result<Accepted, Changed> {
        if seen != self.offer_revision {
            return Err(Changed);
        }
        let (own, other) = match who {
            Who::Inviter => (&mut self.inviter, &self.invited),
            Who::Invited => (&mut self.invited, &self.inviter),
        };
        if other.offer.accepted {
            return Ok(Accepted::Both);
        }
        own.offer.accepted = true;
        Ok(Accepted::Waiting)
    }

    /// How one side sees it.
    pub(super) fn seen_by(&self, who: Who) -> message::Trade {
        self.view(who, if self.is_open { TradeStage::Open } else { TradeStage::Invited }, None)
    }

    /// How one side sees its end.
    pub(super) fn ended(&self, who: Who, end: End) -> message::Trade {
        match end {
            End::Settled => self.view(who, TradeStage::Settled, None),
            End::Closed(why) => self.view(who, TradeStage::Closed, Some(why)),
        }
    }

    fn view(&self, who: Who, stage: TradeStage, why: Option<TradeEnd>) -> message::Trade {
        let (own, other) = (self.side(who), self.side(who.other()));
        message::Trade {
            trade: self.id,
            with: other.player.clone(),
            invited_by: self.inviter.player.clone(),
            stage,
            why,
            offer_revision: self.offer_revision,
            yours: own.offer.clone(),
            theirs: other.offer.clone(),
            expires_at: self.expiry.told_ms,
        }
    }
}

impl Who {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Inviter => Self::Invited,
            Self::Invited => Self::Inviter,
        }
    }
}
