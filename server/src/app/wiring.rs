//! From the operator's settings to each room's own options.

use super::StartError;
use crate::{
    config::{self, Settings},
    gateway,
    journal::{self, Ack},
    market::{shop_desk, trade_desk},
    roster::{
        self,
        allowance::{Invites, Quotas},
        retention::Retention,
    },
    schema,
    session::{self, token},
};
use std::{num::NonZeroU32, time::Duration};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days.saturating_mul(24 * 60 * 60))
}

fn not_zero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) const fn ack(settings: &Settings) -> Ack {
    match settings.store.ack {
        config::Ack::Durable => Ack::Durable,
        config::Ack::Applied => Ack::Applied { interval: ms(settings.store.autosave_interval_ms) },
    }
}

pub(super) const fn journal_options(settings: &Settings) -> journal::Options {
    journal::Options { ack: ack(settings), pending_bytes_max: settings.store.pending_bytes_max }
}

pub(super) fn roster_options(settings: &Settings) -> roster::Options {
    let limits = &settings.limits;
    roster::Options {
        linger: ms(limits.linger_ms),
        resume_bytes_max: limits.resume_bytes_max,
        outbox_bytes_max: limits.outbox_bytes_max,
        quotas: Quotas::new(
            (not_zero(limits.actions_per_second), not_zero(limits.actions_burst)),
            (not_zero(limits.gifts_per_minute), not_zero(limits.gifts_burst)),
            (not_zero(limits.holds_per_minute), not_zero(limits.holds_burst)),
        ),
        chain: &schema::OURS,
        inbox_max: limits.inbox_max,
        inbox_time: days(limits.inbox_days),
        retention: Retention {
            entries_max: settings.ledger.entries_max,
            time_max: (settings.ledger.days_max > 0).then(|| days(settings.ledger.days_max)),
        },
    }
}

pub(super) fn session_options(settings: &Settings) -> session::Options {
    let limits = &settings.limits;
    session::Options {
        frame_bytes_max: narrow(limits.frame_bytes_max),
        in_flight_max: narrow(limits.in_flight_max),
        actions_per_second: limits.actions_per_second,
        actions_burst: limits.actions_burst,
        hello_deadline: ms(limits.hello_deadline_ms),
        idle_timeout: ms(limits.idle_timeout_ms),
        ping_interval: ms(limits.ping_interval_ms),
        slow_reader_grace: ms(limits.slow_reader_grace_ms),
        excess_max: limits.excess_max,
        trades: trade_desk::Options {
            invite_expiry: ms(limits.invite_expiry_ms),
            trade_expiry: ms(limits.trade_expiry_ms),
            invites: Invites { max: limits.invites_per_minute, per_pair_max: limits.invites_per_pair_per_minute },
            incoming_max: limits.incoming_invites_max,
        },
        shop: shop_desk::Options {
            hold_time: Duration::from_secs(limits.hold_seconds),
            holds_max: limits.holds_max,
            units_max: limits.hold_units_max,
        },
    }
}

pub(super) fn gateway_options(settings: &Settings) -> gateway::Options {
    let (server, limits) = (&settings.server, &settings.limits);
    let tls = server.tls_cert_file.clone().zip(server.tls_key_file.clone());
    gateway::Options {
        origins: server.origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
        trusted_proxies: server.trusted_proxies.clone(),
        tls: tls.map(|(cert_file, key_file)| gateway::TlsFiles { cert_file, key_file }),
        frame_bytes_max: limits.frame_bytes_max,
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        hello_deadline: ms(limits.hello_deadline_ms),
        read_buffer_bytes: limits.read_buffer_bytes,
        send_buffer_bytes: narrow(limits.send_buffer_bytes),
    }
}

pub(super) fn token_options(settings: &Settings) -> Result<token::Options, StartError> {
    let auth = &settings.auth;
    match auth.mode {
        config::SignIn::Development => Ok(token::Options::Development),
        config::SignIn::Jwt => Ok(token::Options::Jwt(token::Jwt {
            algorithm: match auth.algorithm {
                config::Algorithm::Hs256 => token::Algorithm::Hs256,
                config::Algorithm::EdDsa => token::Algorithm::EdDsa,
                config::Algorithm::Rs256 => token::Algorithm::Rs256,
                config::Algorithm::Es256 => token::Algorithm::Es256,
            },
            key_file: auth
                .key_file
                .clone()
                .ok_or_else(|| StartError::Config("auth.mode = \"jwt\" needs auth.key_file".to_owned()))?,
            audience: auth.audience.clone(),
            player_claim: auth.player_claim.clone(),
            leeway_seconds: auth.leeway_seconds,
        })),
    }
}
