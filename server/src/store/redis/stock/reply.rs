//! Stocks and holds as they stand in Redis: names and values, read and written.

use super::super::{
    link::Failure,
    reply::{bytes, list, number, strange, text},
    script::Call,
};
use crate::store::{
    Owner, ReadError,
    stock::{Act, AuditEntry, Claim, ClaimId, Done, Event, Holder, Reservation, State, Stock, StockError},
};
use bytes::Bytes;
use holdall_protocol::ids::{PlayerId, ReservationId, SkuId};
use redis::Value;
use std::num::NonZeroU64;

/// What `stock.lua` answers.
pub(super) enum Said {
    /// What it told.
    Ok(Value),
    /// A refusal, and the numbers or words that belong to it.
    No(String, Vec<Value>),
    /// It is to be called again.
    More,
    /// What is stored is damaged.
    Unreadable(String),
    /// Another world is there.
    World,
}

/// What `stock.lua` answers, and how often what has happened in that call.
pub(super) fn counted(answered: Value) -> Result<(Value, Vec<(Event, u64)>), Failure> {
    let mut parts = list(answered)?.into_iter();
    let mut part = || parts.next().unwrap_or(Value::Nil);
    let (answer, counts) = (part(), list(part())?);
    let happened = counts.chunks_exact(2).map(|pair| {
        let [event, times] = pair else { return Err(strange(&Value::Nil)) };
        let (event, times) = (text(event.clone())?, count(times.clone())?);
        let event = Event::ALL.into_iter().find(|known| known.as_str() == event);
        Ok((event.ok_or_else(|| strange(&Value::Nil))?, times))
    });
    Ok((answer, happened.collect::<Result<_, _>>()?))
}

pub(super) fn said(answered: Value) -> Result<Said, Failure> {
    let mut parts = list(answered)?.into_iter();
    let mut part = || parts.next().unwrap_or(Value::Nil);
    Ok(match text(part())?.as_str() {
        "ok" => Said::Ok(part()),
        "no" => Said::No(text(part())?, parts.collect()),
        "more" => Said::More,
        verdict => not_ok(verdict, part())?,
    })
}

/// What every script of the shop may answer instead of what it was asked for.
pub(super) fn not_ok(verdict: &str, about: Value) -> Result<Said, Failure> {
    match verdict {
        "unreadable" => Ok(Said::Unreadable(text(about)?)),
        "world" => Ok(Said::World),
        _ => Err(strange(&Value::SimpleString(verdict.to_owned()))),
    }
}

/// Why there is nothing to be told.
pub(super) fn read_error(said: Said) -> ReadError {
    match said {
        Said::Unreadable(why) => ReadError::Unreadable(why),
        Said::World => ReadError::Unavailable("this Redis holds another world than it did".to_owned()),
        Said::Ok(_) | Said::No(..) | Said::More => {
            ReadError::Unavailable("Redis answered what no look is answered".to_owned())
        }
    }
}

/// Why a deed was not done.
pub(super) fn refusal(code: &str, about: &[Value], act: &Act) -> Result<StockError, Failure> {
    let word = || text(about.first().cloned().unwrap_or(Value::Nil));
    let count = || number::<u64>(word()?.as_bytes()).map_err(Failure::Lost);
    Ok(match code {
        "no_such_sku" => StockError::NoSuchSku,
        "no_such_reservation" => StockError::NoSuchReservation,
        "insufficient" => StockError::Insufficient { available: count()? },
        "not_active" => StockError::NotActive(state(&word()?).map_err(Failure::Lost)?),
        "claimed" => StockError::Claimed,
        "players" => StockError::Players,
        "too_many_holds" => StockError::TooManyHolds { holds: count()? },
        "too_many_units" => {
            let max = if let Act::Hold(hold) = act { hold.units_max } else { None };
            StockError::TooManyUnits { units: count()?, max: max.map_or(u32::MAX, Into::into) }
        }
        "holds_open" => StockError::HoldsOpen { holds: count()? },
        "too_large" => StockError::TooLarge,
        "not_owner" => StockError::NotOwner,
        "key_taken" => StockError::KeyTaken,
        _ => return Err(strange(&Value::SimpleString(code.to_owned()))),
    })
}

/// Names and values; `None` where there are none.
pub(super) fn fields(told: Value) -> Result<Option<Vec<(Bytes, Bytes)>>, Failure> {
    let mut parts = list(told)?.into_iter();
    let mut fields = Vec::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        fields.push((bytes(name)?, bytes(value)?));
    }
    Ok((!fields.is_empty()).then_some(fields))
}

/// One of several named values. The errors of everything that is read by it say what stands in the way.
struct Field<'f>(&'f [(Bytes, Bytes)]);

impl Field<'_> {
    fn bytes(&self, name: &str) -> Result<&Bytes, String> {
        self.if_there(name).ok_or_else(|| format!("{name} is missing"))
    }

    fn if_there(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Result<u64, String> {
        number(self.bytes(name)?).map_err(|why| format!("{name}: {why}"))
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| format!("{name} is no text"))
    }

    fn sku(&self) -> Result<SkuId, String> {
        let sku = self.text("sku")?;
        SkuId::new(sku).map_err(|_| format!("{sku:?} is no SKU"))
    }

    fn holder(&self) -> Result<Holder, String> {
        Holder::try_from(self.text("holder")?.to_owned())
    }
}

fn state(name: &str) -> Result<State, String> {
    State::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| format!("{name:?} is no state"))
}

fn reservation_id(id: &str) -> Result<ReservationId, String> {
    id.parse().map(ReservationId::new).map_err(|_| format!("{id:?} is no reservation's id"))
}

pub(super) fn stock(fields: &[(Bytes, Bytes)]) -> Result<Stock, String> {
    let field = Field(fields);
    Ok(Stock {
        sku: field.sku()?,
        total: field.number("total")?,
        available: field.number("available")?,
        reserved: field.number("reserved")?,
        confirmed: field.number("confirmed")?,
        holds: field.number("holds")?,
        updated_at: field.number("updated_at")?,
    })
}

pub(super) fn reservation(fields: &[(Bytes, Bytes)]) -> Result<Reservation, String> {
    let field = Field(fields);
    Ok(Reservation {
        id: reservation_id(field.text("id")?)?,
        sku: field.sku()?,
        holder: field.holder()?,
        quantity: NonZeroU64::new(field.number("quantity")?).ok_or("a hold of nothing")?,
        state: state(field.text("state")?)?,
        expires_at: field.number("expires_at")?,
        created_at: field.number("created_at")?,
        updated_at: field.number("updated_at")?,
        terms: field.if_there("terms").cloned().unwrap_or_default(),
    })
}

/// What a deed came to, as it was answered or kept.
pub(super) fn done(told: Value) -> Result<Result<Done, String>, Failure> {
    let fields = fields(told)?.unwrap_or_default();
    Ok(match Field(&fields).text("done") {
        Ok("stock") => stock(&fields).map(Done::Stock),
        Ok("reservation") => reservation(&fields).map(Done::Reservation),
        Ok(other) => Err(format!("{other:?} is nothing that comes of a deed")),
        Err(why) => Err(why),
    })
}

/// A player's open holds, the oldest first. One that cannot be read is left out: it keeps nobody from playing.
pub(in super::super) fn open_holds(told: Value) -> Result<Vec<Reservation>, Failure> {
    let mut open = Vec::new();
    for hold in list(told)? {
        let Some(fields) = fields(hold)? else { continue };
        match reservation(&fields) {
            Ok(hold) if hold.state.is_open() => open.push(hold),
            Ok(_) => {}
            Err(why) => tracing::warn!(why, "a player's hold cannot be read"),
        }
    }
    open.sort_by_key(|hold| (hold.created_at, hold.id));
    Ok(open)
}

/// Who has how many units, in order.
pub(super) fn units(told: Value) -> Result<Result<Vec<(PlayerId, u64)>, String>, Failure> {
    let fields = fields(told)?.unwrap_or_default();
    let unit = |(player, units): (Bytes, Bytes)| -> Result<(PlayerId, u64), String> {
        let player = String::from_utf8_lossy(&player).into_owned();
        Ok((PlayerId::new(&player).map_err(|_| format!("{player:?} is no player"))?, number(&units)?))
    };
    let units: Result<Vec<_>, _> = fields.into_iter().map(unit).collect();
    Ok(units.map(|mut units| {
        units.sort();
        units
    }))
}

pub(super) fn count(told: Value) -> Result<u64, Failure> {
    match told {
        Value::Int(count) => Ok(u64::try_from(count).unwrap_or(0)),
        other => Err(strange(&other)),
    }
}

/// A claim that stands.
pub(super) fn claim(told: Value) -> Result<Result<Claim, String>, Failure> {
    let mut parts = list(told)?.into_iter();
    let mut part = || text(parts.next().unwrap_or(Value::Nil));
    let (reservation, attempt, player, owner) = (part()?, part()?, part()?, part()?);
    let claim = || -> Result<Claim, String> {
        Ok(Claim {
            reservation: reservation_id(&reservation)?,
            id: attempt.parse().map(ClaimId::new).map_err(|_| format!("{attempt:?} is no attempt's id"))?,
            player: PlayerId::new(&player).map_err(|_| format!("{player:?} is no player"))?,
            owner: Owner::stored(&owner),
        })
    };
    Ok(claim())
}

pub(super) fn audit_entry(fields: &[(Bytes, Bytes)]) -> Result<AuditEntry, String> {
    let field = Field(fields);
    let event = field.text("event")?;
    let of_hold = field.if_there("reservation").is_some();
    Ok(AuditEntry {
        event: Event::ALL.into_iter().find(|known| known.as_str() == event).ok_or(format!("{event:?} is no event"))?,
        sku: field.sku()?,
        reservation: of_hold.then(|| reservation_id(field.text("reservation")?)).transpose()?,
        holder: of_hold.then(|| field.holder()).transpose()?,
        quantity: field.number("quantity")?,
        state: of_hold.then(|| state(field.text("state")?)).transpose()?,
        why: field.if_there("why").map(|why| String::from_utf8_lossy(why).into()),
        at: field.number("at")?,
    })
}

/// How many arguments names and values are, and those.
fn add_fields(call: &mut Call, fields: Vec<(&'static str, String)>) {
    call.number(u64::try_from(fields.len().saturating_mul(2)).unwrap_or(u64::MAX));
    for (name, value) in fields {
        call.bytes(name).bytes(&value);
    }
}

/// A stock as `import_stock.lua` reads it.
pub(super) fn add_stock(call: &mut Call, stock: &Stock) {
    let columns = [
        ("total", stock.total),
        ("available", stock.available),
        ("reserved", stock.reserved),
        ("confirmed", stock.confirmed),
        ("holds", stock.holds),
        ("updated_at", stock.updated_at),
    ];
    add_fields(call, columns.map(|(name, number)| (name, number.to_string())).into());
}

/// A hold as `import_stock.lua` reads it. Whoever was paying is not known here.
pub(super) fn add_hold(call: &mut Call, hold: &Reservation) {
    let state = if hold.state.is_open() { State::Active } else { hold.state };
    let expires_at = hold.expires_at.min(holdall_protocol::NUMBER_MAX).to_string();
    call.bytes(&hold.id.to_string());
    call.bytes(&if state.is_open() { expires_at.clone() } else { String::new() });
    let fields = [
        ("sku", hold.sku.to_string()),
        ("quantity", hold.quantity.to_string()),
        ("holder", hold.holder.to_string()),
        ("state", state.as_str().to_owned()),
        ("expires_at", expires_at),
        ("created_at", hold.created_at.to_string()),
        ("updated_at", hold.updated_at.to_string()),
    ];
    call.number(u64::try_from(fields.len().saturating_add(1).saturating_mul(2)).unwrap_or(u64::MAX));
    for (name, value) in fields {
        call.bytes(name).bytes(&value);
    }
    call.bytes("terms").bytes(&hold.terms);
}

/// An entry of the audit as `import_stock.lua` reads it.
pub(super) fn add_entry(call: &mut Call, entry: &AuditEntry) {
    let mut fields = vec![
        ("event", entry.event.as_str().to_owned()),
        ("sku", entry.sku.to_string()),
        ("quantity", entry.quantity.to_string()),
    ];
    fields.extend(entry.reservation.map(|id| ("reservation", id.to_string())));
    fields.extend(entry.holder.as_ref().map(|holder| ("holder", holder.to_string())));
    fields.extend(entry.state.map(|state| ("state", state.as_str().to_owned())));
    fields.extend(entry.why.as_ref().map(|why| ("why", why.to_string())));
    fields.push(("at", entry.at.to_string()));
    add_fields(call, fields);
}
