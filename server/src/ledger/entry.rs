//! One page of one player's ledger.

use super::line::{Account, Line, Lines, lines};
use crate::{engine::change::Change, schema::Form};
use holdall_protocol::ids::{OrderKey, PlayerId, ReservationId, Revision, Seq, TradeId};
use std::sync::Arc;
use uuid::Uuid;

/// Who caused a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A player, by a request: the owner of the page or the one who gave.
    Player(PlayerId),
    /// The server: birth, repair, migration.
    Server,
    /// An operator, by this name.
    Operator(Arc<str>),
}

/// Why a revision was made. The names are stored and stay for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The starting kit.
    Born,
    /// A harmless value set right at a load.
    Repair,
    /// The whole record written again in a newer format; its things are the same.
    Upgrade,
    /// Content steps that an operator wrote.
    Migration,
    /// Moved within the bag.
    Move,
    /// Sorted.
    Sort,
    /// Used up.
    Use,
    /// Thrown away.
    Drop,
    /// Put on.
    Equip,
    /// Taken off.
    Unequip,
    /// Sold to the server.
    Sell,
    /// Given to another player.
    GiftSent,
    /// Received from another player.
    GiftReceived,
    /// Given to a player who was not here: put into their inbox.
    Gift,
    /// Taken out of the own inbox.
    InboxTaken,
    /// Sent back out of the own inbox, where it had waited too long.
    InboxReturned,
    /// Exchanged with another player.
    Trade,
    /// What the player has set for themselves.
    Settings,
    /// A hold made on something in the shop.
    Hold,
    /// A hold given back.
    Release,
    /// A hold paid for: bought in the shop.
    Buy,
    /// Made out of nothing in development sign-in.
    DevGrant,
    /// Set back to an earlier revision by an operator.
    Restore,
    /// Made out of nothing by an operator.
    Grant,
    /// Taken away by an operator.
    Revoke,
    /// Attributes set or removed by an operator.
    Attributes,
    /// Paid in by an operator.
    Credit,
    /// Taken out by an operator.
    Debit,
    /// Sent out of the game by an operator.
    Kick,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 29] = [
        Self::Born,
        Self::Repair,
        Self::Upgrade,
        Self::Migration,
        Self::Move,
        Self::Sort,
        Self::Use,
        Self::Drop,
        Self::Equip,
        Self::Unequip,
        Self::Sell,
        Self::GiftSent,
        Self::GiftReceived,
        Self::Gift,
        Self::InboxTaken,
        Self::InboxReturned,
        Self::Trade,
        Self::Settings,
        Self::Hold,
        Self::Release,
        Self::Buy,
        Self::DevGrant,
        Self::Restore,
        Self::Grant,
        Self::Revoke,
        Self::Attributes,
        Self::Credit,
        Self::Debit,
        Self::Kick,
    ];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Born => "born",
            Self::Repair => "repair",
            Self::Upgrade => "upgrade",
            Self::Migration => "migration",
            Self::Move => "move",
            Self::Sort => "sort",
            Self::Use => "use",
            Self::Drop => "drop",
            Self::Equip => "equip",
            Self::Unequip => "unequip",
            Self::Sell => "sell",
            Self::GiftSent => "gift_sent",
            Self::GiftReceived => "gift_received",
            Self::Gift => "gift",
            Self::InboxTaken => "inbox_taken",
            Self::InboxReturned => "inbox_returned",
            Self::Trade => "trade",
            Self::Settings => "settings",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Buy => "buy",
            Self::DevGrant => "dev_grant",
            Self::Restore => "restore",
            Self::Grant => "grant",
            Self::Revoke => "revoke",
            Self::Attributes => "attributes",
            Self::Credit => "credit",
            Self::Debit => "debit",
            Self::Kick => "kick",
        }
    }
}

/// The request behind a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub seq: Seq,
    /// The hash of its action.
    pub hash: u64,
}

/// The other half of a record that touched two players.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// Who.
    pub player: PlayerId,
    /// The revision that the same record made there.
    pub revision: Revision,
    /// The trade that it settled.
    pub trade: Option<TradeId>,
}

/// The waiting gift of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    /// Its id.
    pub gift: Uuid,
    /// The id under which it waits from now on, where it was sent back.
    pub again: Option<Uuid>,
    /// Whose inbox the changed things went to or came from.
    pub inbox: PlayerId,
    /// What went from one inbox to another, through no place of the player's.
    pub passed_on: Vec<Line>,
}

/// The operator's order that a record carries out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The key by which it was given.
    pub key: OrderKey,
    /// Why, in the operator's words.
    pub why: Arc<str>,
}

/// What happened to one player at one revision.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Whose page.
    pub player: &'a PlayerId,
    /// The revision it made.
    pub revision: Revision,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who caused it.
    pub actor: Actor,
    /// Why.
    pub reason: Reason,
    /// The player's own request; `None` where there was none.
    pub asked: Option<Asked>,
    /// The other player of the same record.
    pub partner: Option<Partner>,
    /// The waiting gift that was put, taken or sent back.
    pub waits: Option<Waits>,
    /// The operator's order behind it.
    pub ordered: Option<Ordered>,
    /// The hold of the shop that was made, given back or paid for.
    pub hold: Option<ReservationId>,
    /// What changed; stored are the places and what was in them before.
    pub changes: &'a [Change],
    /// How the player's record is written at this revision.
    pub form: Form,
}

impl Entry<'_> {
    /// The double-entry lines: with a partner things come from and go to them, with a waiting gift from and to the inbox,
    /// with a hold from and to the shop, else from the mint and to the sink.
    #[must_use]
    pub fn lines(&self) -> Lines {
        if let Some(Waits { inbox, passed_on, .. }) = &self.waits {
            let inbox = Account::Inbox(inbox.clone());
            let mut all = lines(self.player, self.changes, &inbox, &inbox);
            all.extend(passed_on.iter().cloned());
            return all;
        }
        match &self.partner {
            Some(partner) => {
                let other = Account::Player(partner.player.clone());
                lines(self.player, self.changes, &other, &other)
            }
            None if self.hold.is_some() => lines(self.player, self.changes, &Account::Shop, &Account::Shop),
            None => lines(self.player, self.changes, &Account::Mint, &Account::Sink),
        }
    }
}
