//! What is in force, as clients are told it: in `welcome`, and by itself when it has become other.

use super::{Options, Sessions};
use crate::{
    catalog::{Catalog, Rules},
    replication::outbox::{Frame, Kind},
    roster::{self, cell::Inner},
};
use holdall_protocol::message::{CatalogVersion, Limits, Reloaded, ServerMessage};
use std::sync::Arc;

/// Which catalogue it is.
pub(super) fn told(catalog: &Catalog) -> CatalogVersion {
    CatalogVersion { version: catalog.version(), hash: catalog.hash().to_owned() }
}

impl Options {
    /// The bounds that a client lives in.
    pub(super) fn told(&self, rules: &Rules) -> Limits {
        Limits {
            frame_bytes_max: self.frame_bytes_max,
            actions_per_second: self.actions_per_second,
            actions_burst: self.actions_burst,
            in_flight_max: self.in_flight_max,
            max_slots: rules.max_slots,
            max_weight: rules.max_weight,
            idle_seconds: u32::try_from(self.idle_timeout.as_secs()).unwrap_or(u32::MAX),
        }
    }
}

impl Sessions {
    /// Puts other rules and bounds in force, for everybody who plays and whoever comes, and tells each client.
    pub fn put_in_force(&self, rules: Rules, roster: roster::Options, options: Options) {
        self.desk.set_options(options.trades);
        self.shop.set_options(options.shop);
        let options = Arc::new(options);
        self.options.send_replace(options.clone());
        self.roster.put_in_force(rules, roster, |inner, rules| self.tell_reloaded(inner, rules, &options));
    }

    fn tell_reloaded(&self, inner: &mut Inner, rules: &Rules, options: &Options) {
        let Some(seat) = inner.seat() else { return };
        // Which places are frozen is only right behind the changes that were made so far.
        let gate = self.roster.gate(seat);
        let frozen = seat.player.frozen(rules);
        let reloaded = Reloaded { catalog: told(&rules.catalog), limits: options.told(rules), frozen };
        inner.push(gate, Kind::Reloaded, Frame::Message(Box::new(ServerMessage::Reloaded(Box::new(reloaded)))));
    }
}
