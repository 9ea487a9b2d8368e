//! Double entry: what left one account entered another.

use crate::engine::change::{Change, Content, Stack};
use holdall_protocol::ids::{InstanceId, ItemId, PlayerId};
use std::{cmp::Ordering, fmt};

/// Where things come from and go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// A player's bag, equipment and wallet.
    Player(PlayerId),
    /// What waits for a player.
    Inbox(PlayerId),
    /// Where what is bought comes from, and what is paid for it goes.
    Shop,
    /// Where granted things come from.
    Mint,
    /// Where used, dropped, sold and removed things go.
    Sink,
}

/// As it is stored.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Player(player) => write!(f, "player:{player}"),
            Self::Inbox(player) => write!(f, "inbox:{player}"),
            Self::Shop => f.write_str("shop"),
            Self::Mint => f.write_str("mint"),
            Self::Sink => f.write_str("sink"),
        }
    }
}

impl Account {
    /// The account whose stored text this is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match (text, text.split_once(':')) {
            ("shop", _) => Some(Self::Shop),
            ("mint", _) => Some(Self::Mint),
            ("sink", _) => Some(Self::Sink),
            (_, Some(("player", player))) => PlayerId::new(player).ok().map(Self::Player),
            (_, Some(("inbox", player))) => PlayerId::new(player).ok().map(Self::Inbox),
            _ => None,
        }
    }
}

/// A quantity of one item or currency that went from one account to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whence.
    pub from: Account,
    /// Whither.
    pub to: Account,
    /// Of what.
    pub item: ItemId,
    /// How much.
    pub quantity: u64,
    /// The stacks that entered or left the player as a whole.
    pub instances: Vec<InstanceId>,
}

/// The lines of one player's changes: what is less afterwards went to `outlet`, what is more came from `inlet`. A move
/// makes no line.
#[must_use]
pub fn lines(own: &PlayerId, changes: &[Change], inlet: &Account, outlet: &Account) -> Vec<Line> {
    let mut nets: Vec<Net<'_>> = Vec::new();
    for change in changes {
        for (content, gained) in [(&change.before, false), (&change.after, true)] {
            let Some(content) = content else { continue };
            let (item, quantity, instance) = match (content, &change.place) {
                (Content::Stack(Stack { item, quantity, instance, .. }), _) => {
                    (item, u64::from(quantity.get()), Some(*instance))
                }
                (Content::Amount(amount), holdall_protocol::ids::Place::Balance(currency)) => (currency, *amount, None),
                (Content::Amount(_), _) => unreachable!("only a balance holds an amount"),
            };
            let at = match nets.iter().position(|net| net.item == item) {
                Some(at) => at,
                None => {
                    nets.push(Net { item, gain: 0, seen: Vec::new() });
                    nets.len().saturating_sub(1)
                }
            };
            if let Some(net) = nets.get_mut(at) {
                let signed = i128::from(quantity);
                net.gain = if gained { net.gain.saturating_add(signed) } else { net.gain.saturating_sub(signed) };
                net.seen.extend(instance.map(|instance| (instance, gained)));
            }
        }
    }
    nets.into_iter().filter_map(|net| net.line(own, inlet, outlet)).collect()
}

/// One item's sum over the changes.
struct Net<'a> {
    item: &'a ItemId,
    gain: i128,
    /// Every stack before (false) and after (true).
    seen: Vec<(InstanceId, bool)>,
}

impl Net<'_> {
    fn line(self, own: &PlayerId, inlet: &Account, outlet: &Account) -> Option<Line> {
        let own = Account::Player(own.clone());
        let (from, to, gained) = match self.gain.cmp(&0) {
            Ordering::Equal => return None,
            Ordering::Greater => (inlet.clone(), own, true),
            Ordering::Less => (own, outlet.clone(), false),
        };
        let whole = |instance: InstanceId| !self.seen.contains(&(instance, !gained));
        let instances = self.seen.iter().filter(|(instance, side)| *side == gained && whole(*instance));
        Some(Line {
            from,
            to,
            item: self.item.clone(),
            quantity: u64::try_from(self.gain.unsigned_abs()).unwrap_or(u64::MAX),
            instances: instances.map(|(instance, _)| *instance).collect(),
        })
    }
}
