//! Settings, catalogue and shop read again while the server runs: whole, or not at all.
//!
//! Called by the operators' route and by SIGHUP. What is wrong, and what only a start can change, is found before anything
//! is put in force; from there on nothing can fail.

use super::{Read, StartError, wiring};
use crate::{
    catalog::{
        Catalog, Rules,
        diff::{Diff, ShopDiff},
    },
    config::{Fault, Faults, Loaded, Turned},
    engine::standing::Freeze,
    gateway,
    operator::reload::{
        Changed, ChangedSku, Freezing, Items, Knob, NotReloaded, Reload, Renamed, Report, Skus, Thawing, Why,
    },
    roster::reload::Outlook,
    session::Sessions,
    telemetry::log::LogLevel,
};
use parking_lot::Mutex;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
};

/// Listens for SIGHUP from now on: before, it would end the process.
pub(super) fn hangups() -> Result<Signal, StartError> {
    signal(SignalKind::hangup()).map_err(|error| StartError::Config(format!("SIGHUP cannot be listened for: {error}")))
}

/// All that a reload reads from and writes to.
pub(super) struct Reloader {
    read: Read,
    /// The settings in force; held for as long as a reload takes, so that there is one at a time.
    loaded: Mutex<Loaded>,
    sessions: Arc<Sessions>,
    gateway: gateway::Bounds,
    log: LogLevel,
}

/// What was read, once it is known that it can be put in force.
struct Next {
    loaded: Loaded,
    rules: Rules,
    turned: Vec<Turned>,
    report: Report,
}

impl Reloader {
    pub(super) fn new(
        (read, loaded): (Read, Loaded),
        sessions: Arc<Sessions>,
        gateway: gateway::Bounds,
        log: LogLevel,
    ) -> Self {
        Self { read, loaded: Mutex::new(loaded), sessions, gateway, log }
    }

    /// How long a stopping server may take now.
    pub(super) fn drain_time(&self) -> Duration {
        Duration::from_secs(self.loaded.lock().settings.limits.drain_seconds)
    }

    /// Reloads at each SIGHUP, for ever; what comes of it is in the log.
    pub(super) async fn on_hangup(self: Arc<Self>, mut hangups: Signal) -> Infallible {
        loop {
            hangups.recv().await;
            let reloader = self.clone();
            match spawn_blocking(move || reloader.reload()).await {
                Ok(Ok(_)) => {}
                Ok(Err(NotReloaded::Faults(lines) | NotReloaded::NeedsRestart(lines))) => {
                    for line in lines {
                        tracing::error!("nothing was reloaded: {line}");
                    }
                }
                Err(_) => tracing::error!("a reload panicked"),
            }
        }
    }

    /// Reads everything, and says what putting it in force comes to.
    fn next(&self, before: &Loaded) -> Result<Next, NotReloaded> {
        let (loaded, rules) = (self.read)().map_err(|faults| NotReloaded::Faults(lines(&faults)))?;
        let (now, turned) = (self.sessions.roster().rules(), before.turned(&loaded));
        let fixed = fixed(&now, &rules, &loaded, &turned);
        if !fixed.is_empty() {
            return Err(NotReloaded::NeedsRestart(lines(&fixed)));
        }
        let diff = Diff::between(&now.catalog, &rules.catalog);
        let shop = ShopDiff::between(&now.shop, &rules.shop);
        let rules = if turned.is_empty() && diff.is_empty() && shop.is_empty() {
            Rules { catalog: now.catalog.clone(), ..rules }
        } else {
            Rules { catalog: rules.catalog.after(&now.catalog), ..rules }
        };
        let outlook = self.sessions.roster().outlook(&rules);
        let report = report(&rules.catalog, &turned, (diff, shop), outlook);
        Ok(Next { loaded, rules, turned, report })
    }
}

impl Reload for Reloader {
    fn look(&self) -> Result<Report, NotReloaded> {
        let before = self.loaded.lock();
        self.next(&before).map(|next| Report { dry_run: true, ..next.report })
    }

    fn reload(&self) -> Result<Report, NotReloaded> {
        let mut in_force = self.loaded.lock();
        let Next { loaded, rules, turned, report } = self.next(&in_force)?;
        // From here nothing can fail.
        let settings = &loaded.settings;
        if !report.is_empty() {
            self.gateway.set(&wiring::gateway_options(settings));
            self.sessions.put_in_force(rules, wiring::roster_options(settings), wiring::session_options(settings));
        }
        // A level that was changed by hand since stays, unless the settings say another than they did.
        if turned.iter().any(|turned| turned.knob.path == "log.level") {
            self.log.set(settings.log.level.as_str()).expect("a level from the settings is one");
        }
        let Report { version, hash, .. } = &report;
        tracing::info!(version, %hash, "reloaded: {}", report.to_string().trim_end().replace('\n', "; "));
        *in_force = loaded;
        Ok(report)
    }
}

/// What has changed and is read at the start only.
fn fixed(now: &Rules, then: &Rules, loaded: &Loaded, turned: &[Turned]) -> Faults {
    let mut faults = Faults::default();
    for Turned { knob, before, after } in turned.iter().filter(|turned| turned.knob.needs_restart()) {
        faults.push(loaded.fault(knob.path, format!("is {before} and cannot become {after} without a restart")));
    }
    if now.migrations != then.migrations {
        let (have, want) = (now.migrations.newest(), then.migrations.newest());
        let what = format!(
            "the content steps have changed (the newest was {have}, now it is {want}), and players take steps at a load \
             only: restart the server"
        );
        let place = loaded.settings.catalog.migrations_file.display().to_string();
        faults.push(Fault { place, line: None, what });
    }
    faults
}

fn lines(faults: &Faults) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

fn report(catalog: &Catalog, turned: &[Turned], (diff, shop): (Diff, ShopDiff), outlook: Outlook) -> Report {
    let knob = |Turned { knob, before, after }: &Turned| Knob {
        knob: knob.path.to_owned(),
        before: before.clone(),
        after: after.clone(),
    };
    let named = |fields: Vec<&str>| fields.into_iter().map(str::to_owned).collect();
    let changed = diff.changed.into_iter().map(|changed| Changed { item: changed.item, fields: named(changed.fields) });
    let freezing = outlook.freezing.into_iter().map(|((item, why), held)| Freezing {
        item,
        why: told(why),
        players: held.players,
        stacks: held.places,
    });
    let thawing =
        outlook.thawing.into_iter().map(|(item, held)| Thawing { item, players: held.players, stacks: held.places });
    Report {
        dry_run: false,
        version: catalog.version(),
        hash: catalog.hash().to_owned(),
        knobs: turned.iter().map(knob).collect(),
        items: Items {
            added: diff.added,
            removed: diff.removed,
            renamed: diff.renamed.into_iter().map(|(from, to)| Renamed { from, to }).collect(),
            changed: changed.collect(),
        },
        shop: Skus {
            added: shop.added,
            removed: shop.removed,
            changed: shop.changed.into_iter().map(|(sku, fields)| ChangedSku { sku, fields: named(fields) }).collect(),
        },
        loaded_players: outlook.players,
        freezing: freezing.collect(),
        thawing: thawing.collect(),
    }
}

const fn told(why: Freeze) -> Why {
    match why {
        Freeze::Undefined => Why::Removed,
        Freeze::TooLarge => Why::TooLarge,
        Freeze::OtherKind => Why::OtherKind,
        Freeze::NoSlot => Why::NoSlot,
    }
}
