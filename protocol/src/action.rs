//! What a client can ask for. Wider powers (grants, removals, attributes) have no bytes at all.

use crate::{
    ids::{InstanceId, ItemId, PlayerId, ReservationId, Seq, SkuId, SlotId, TradeId},
    strict::{Field, Key, body, fields},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{fmt, num::NonZeroU64};

fields!(Quantity, Target, ItemId, PlayerId, InstanceId, ReservationId, SkuId, SlotId, TradeId);

/// A quantity as a client wrote it. Any number can be read, so that a bad one is a refusal
/// (`invalid_quantity`) and not the end of the connection.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(minimum = 1, maximum = 9_007_199_254_740_991_u64))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(u64);

impl Quantity {
    /// A quantity to send.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The whole number from 1 up, `None` where the client wrote anything else.
    #[must_use]
    pub const fn get(self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct AnyNumber;
        impl de::Visitor<'_> for AnyNumber {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(u64::try_from(number).unwrap_or(0)))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Quantity, E> {
                Ok(Quantity(0))
            }
        }
        d.deserialize_any(AnyNumber)
    }
}

/// Which stack is meant: one instance, or whatever there is of an item, highest bag slot first.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `{"item": "ore"}`
    Item(ItemId),
    /// `{"instance": "…"}`: that stack only.
    Instance(InstanceId),
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct OneOf;
        impl<'de> de::Visitor<'de> for OneOf {
            type Value = Target;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map with one key, `item` or `instance`")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Target, A::Error> {
                let key = access.next_key::<Key>()?.ok_or_else(|| de::Error::missing_field("instance"))?;
                let target = match key.as_str() {
                    "item" => Target::Item(access.next_value()?),
                    "instance" => Target::Instance(access.next_value()?),
                    other => return Err(de::Error::unknown_field(other, &["item", "instance"])),
                };
                only_one(access)?;
                Ok(target)
            }
        }
        d.deserialize_map(OneOf)
    }
}

fn only_one<'de, A: de::MapAccess<'de>>(mut access: A) -> Result<(), A::Error> {
    match access.next_key::<Key>()? {
        None => Ok(()),
        Some(_) => Err(de::Error::custom("only one key may stand here")),
    }
}

body! {
    /// Moves a stack, or part of it, within the bag. To an empty slot it moves, onto an equal stack it merges as
    /// much as fits, onto another it swaps; with a quantity smaller than the stack it splits.
    pub struct Move {
        /// The bag slot it is in.
        from: u16,
        /// The bag slot it should go to.
        to: u16,
        /// How many; all of them when absent.
        quantity: Option<Quantity>,
    }
}
body! {
    /// Merges equal stacks and orders the bag by kind, rarity (highest first), item and age, from slot 0.
    pub struct Sort {}
}
body! {
    /// Uses one unit of a consumable.
    pub struct Use {
        /// What to use.
        target: Target,
    }
}
body! {
    /// Throws away what is in the bag.
    pub struct Drop {
        /// What to drop.
        target: Target,
        /// How many.
        quantity: Quantity,
    }
}
body! {
    /// Puts one unit from a bag stack into an equipment slot; what was there goes back to the bag.
    pub struct Equip {
        /// The bag stack.
        instance: InstanceId,
        /// The slot; when absent the first free one that is allowed, else the first allowed.
        slot: Option<SlotId>,
    }
}
body! {
    /// Puts what an equipment slot holds back into the bag.
    pub struct Unequip {
        /// The slot to empty.
        slot: SlotId,
    }
}
body! {
    /// Sells (part of) a bag stack for currency.
    pub struct Sell {
        /// The bag stack.
        instance: InstanceId,
        /// How many.
        quantity: Quantity,
    }
}
body! {
    /// Gives items to another player, all or nothing.
    pub struct Gift {
        /// Who receives.
        to: PlayerId,
        /// What is given, each stack named once.
        items: Vec<GiftItem>,
    }
}
body! {
    /// One line of a gift.
    pub struct GiftItem {
        /// The bag stack.
        instance: InstanceId,
        /// How many of it.
        quantity: Quantity,
    }
}
body! {
    /// Asks another player for a trade.
    pub struct TradeInvite {
        /// Whom.
        to: PlayerId,
    }
}
body! {
    /// Answers an invite.
    pub struct TradeAnswer {
        /// The trade that the invite is for.
        trade: TradeId,
        /// Whether to trade.
        accept: bool,
    }
}
body! {
    /// Puts up the whole of the own offer, in place of whatever was put up before.
    pub struct TradeOffer {
        /// The trade.
        trade: TradeId,
        /// Bag stacks, or parts, each stack named once.
        items: Vec<GiftItem>,
        /// Currencies, each named once.
        currencies: Vec<OfferedAmount>,
    }
}
body! {
    /// An amount of a currency in an offer.
    pub struct OfferedAmount {
        /// The currency.
        currency: ItemId,
        /// How much of it.
        amount: Quantity,
    }
}
body! {
    /// Agrees to both offers as they were seen.
    pub struct TradeAccept {
        /// The trade.
        trade: TradeId,
        /// The `offer_revision` that was looked at.
        offer_revision: u64,
    }
}
body! {
    /// Ends a trade, or takes an invite back.
    pub struct TradeCancel {
        /// The trade.
        trade: TradeId,
    }
}
body! {
    /// Asks what is for sale in limited numbers, and how much of it is left.
    pub struct ShopList {}
}
body! {
    /// Holds units of the shop for this player, at the price of now, until they are paid for or the time is over.
    pub struct ShopHold {
        /// Of what.
        sku: SkuId,
        /// How many.
        quantity: Quantity,
        /// For how many seconds, 1 to 3600; as long as the server says when absent.
        ttl_seconds: Option<Quantity>,
    }
}
body! {
    /// Pays for a hold: the price leaves the wallet, the items enter the bag, and the units are sold, all or nothing.
    pub struct ShopConfirm {
        /// The hold.
        reservation: ReservationId,
    }
}
body! {
    /// Gives a hold back.
    pub struct ShopRelease {
        /// The hold.
        reservation: ReservationId,
    }
}
body! {
    /// Switches what others may send: absent fields stay as they are.
    pub struct Settings {
        /// Whether gifts are accepted.
        gifts: Option<bool>,
        /// Whether invites to trade are accepted.
        invites: Option<bool>,
    }
}
body! {
    /// Development sign-in only: makes items or currency out of nothing.
    pub struct DevGrant {
        /// The item; or name a currency.
        item: Option<ItemId>,
        /// The currency; or name an item.
        currency: Option<ItemId>,
        /// How many.
        quantity: Quantity,
        /// Whether to take what fits and report the rest as `overflow`; all or nothing when absent.
        partial: Option<bool>,
    }
}
body! {
    /// Asks for the whole inventory.
    pub struct Resync {}
}
body! {
    /// Asks how many of an item the bag and the equipment hold, or what a currency's balance is.
    pub struct Count {
        /// The item or currency.
        item: ItemId,
    }
}
body! {
    /// Asks for one item: its definition, and the places that hold it.
    pub struct Item {
        /// The item.
        item: ItemId,
    }
}
body! {
    /// Asks for the inventory's figures: slots, weight, count, value.
    pub struct Stats {}
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// Everything a client can ask for, written as a map with one key: `{"drop": {…}}`.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub enum Action {
            $($(#[$doc])* #[serde(rename = $name)] $variant($variant),)*
        }

        impl Action {
            /// The names of all actions, in the order of the reference.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The action's name on the wire.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),* }
            }

            /// Where its name stands in [`Self::NAMES`].
            #[must_use]
            pub const fn index(&self) -> usize {
                enum Order { $($variant),* }
                match self { $(Self::$variant(_) => Order::$variant as usize),* }
            }
        }

        impl<'de> Deserialize<'de> for Asked {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct OneOf;
                impl<'de> de::Visitor<'de> for OneOf {
                    type Value = Asked;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a map with one key, the action's name")
                    }

                    fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Asked, A::Error> {
                        let key = access.next_key::<Key>()?.ok_or_else(|| de::Error::custom("an action has a name"))?;
                        let asked = match key.as_str() {
                            $($name => Asked::Known(Action::$variant(access.next_value()?)),)*
                            _ => {
                                access.next_value::<de::IgnoredAny>()?;
                                Asked::Unknown
                            }
                        };
                        only_one(access)?;
                        Ok(asked)
                    }
                }
                d.deserialize_map(OneOf)
            }
        }
    };
}

actions! {
    /// See [`Move`].
    Move = "move";
    /// See [`Sort`].
    Sort = "sort";
    /// See [`Use`].
    Use = "use";
    /// See [`Drop`].
    Drop = "drop";
    /// See [`Equip`].
    Equip = "equip";
    /// See [`Unequip`].
    Unequip = "unequip";
    /// See [`Sell`].
    Sell = "sell";
    /// See [`Gift`].
    Gift = "gift";
    /// See [`TradeInvite`].
    TradeInvite = "trade_invite";
    /// See [`TradeAnswer`].
    TradeAnswer = "trade_answer";
    /// See [`TradeOffer`].
    TradeOffer = "trade_offer";
    /// See [`TradeAccept`].
    TradeAccept = "trade_accept";
    /// See [`TradeCancel`].
    TradeCancel = "trade_cancel";
    /// See [`ShopList`].
    ShopList = "shop_list";
    /// See [`ShopHold`].
    ShopHold = "shop_hold";
    /// See [`ShopConfirm`].
    ShopConfirm = "shop_confirm";
    /// See [`ShopRelease`].
    ShopRelease = "shop_release";
    /// See [`Settings`].
    Settings = "settings";
    /// See [`DevGrant`].
    DevGrant = "dev_grant";
    /// See [`Resync`].
    Resync = "resync";
    /// See [`Count`].
    Count = "count";
    /// See [`Item`].
    Item = "item";
    /// See [`Stats`].
    Stats = "stats";
}

/// The action of a request, as far as this version knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// One of ours, well formed.
    Known(Action),
    /// A name we do not know: refused with `unknown_action`, the connection stays.
    Unknown,
}

impl<'de> Field<'de> for Asked {}

impl Asked {
    /// A number by which a repeat of the same request is told from another request under the same seq: the XXH3-64
    /// of the action's MessagePack, so that field order, encoding and unknown fields do not matter. All unknown
    /// actions hash alike.
    #[must_use]
    pub fn hash(&self, scratch: &mut Vec<u8>) -> u64 {
        scratch.clear();
        if let Self::Known(action) = self {
            rmp_serde::encode::write_named(scratch, action).expect("an action serialises into memory");
        }
        xxhash_rust::xxh3::xxh3_64(scratch)
    }
}

/// One numbered request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The client's number for it.
    pub seq: Seq,
    /// What it asks for.
    pub action: Asked,
}
