//! What settings ask of each other, and of the disk.

use super::{
    fault::Faults,
    kinds::{Algorithm, SignIn},
    load::{Loaded, Origin},
    table::{Auth, Server, Store},
};
use std::{collections::BTreeSet, fmt, path::PathBuf};

/// The shortest secret that signs tokens: as long as the hash, below which HS256 is weaker than it looks.
const SECRET_BYTES_MIN: u64 = 32;

/// Adds to `faults` what does not go together. Of a knob that has a fault already, what follows from it is not said.
pub(super) fn check(loaded: &Loaded, faults: &mut Faults) {
    let mut judge = Judge { loaded, faults };
    judge.sign_in();
    judge.tls();
    judge.equipment();
    judge.kit();
    judge.times();
    judge.store();
}

struct Judge<'a> {
    loaded: &'a Loaded,
    faults: &'a mut Faults,
}

impl Judge<'_> {
    /// A fault of the knobs in `of`, placed at the first that somebody set.
    fn fault(&mut self, of: &[&str], what: impl fmt::Display) {
        if !of.iter().all(|path| self.loaded.is_sound(path)) {
            return;
        }
        let set = of.iter().find(|path| *self.loaded.origin(path) != Origin::Default);
        if let Some(path) = set.or(of.first()) {
            self.faults.push(self.loaded.fault(path, what));
        }
    }

    /// A file that must be there. Its name is not repeated: somebody may have put the secret itself in its place.
    fn file(&mut self, knob: &str, path: Option<&PathBuf>) {
        if let Some(Err(error)) = path.map(std::fs::File::open) {
            self.fault(&[knob], format_args!("the file cannot be read: {error}; name the path of a file"));
        }
    }

    fn sign_in(&mut self) {
        let Auth { mode, algorithm, key_file, audience, player_claim, .. } = &self.loaded.settings.auth;
        match mode {
            SignIn::Development => {
                let listen = self.loaded.settings.server.listen;
                if !listen.ip().is_loopback() {
                    self.fault(
                        &["server.listen", "auth.mode"],
                        format_args!(
                            "{listen} can be reached from other machines, and with auth.mode = \"development\" anybody \
                             there could play as anybody; set auth.mode = \"jwt\", or listen on 127.0.0.1 or [::1]"
                        ),
                    );
                }
            }
            SignIn::Jwt => {
                if key_file.is_none() {
                    self.fault(
                        &["auth.key_file", "auth.mode"],
                        "\"jwt\" needs auth.key_file: the key that checks tokens",
                    );
                }
                if audience.is_empty() {
                    self.fault(
                        &["auth.audience", "auth.mode"],
                        "\"jwt\" needs auth.audience: whom tokens are made for",
                    );
                }
                self.file("auth.key_file", key_file.as_ref());
                let secret = key_file.as_ref().filter(|_| *algorithm == Algorithm::Hs256);
                if secret.and_then(|path| path.metadata().ok()).is_some_and(|file| file.len() < SECRET_BYTES_MIN) {
                    self.fault(
                        &["auth.key_file"],
                        format_args!(
                            "a secret shorter than {SECRET_BYTES_MIN} bytes can be guessed: make a longer one"
                        ),
                    );
                }
            }
        }
        if player_claim.is_empty() {
            self.fault(&["auth.player_claim"], "must name a claim, such as \"sub\"");
        }
    }

    fn tls(&mut self) {
        let Server { tls_cert_file, tls_key_file, .. } = &self.loaded.settings.server;
        if tls_cert_file.is_some() != tls_key_file.is_some() {
            self.fault(
                &["server.tls_cert_file", "server.tls_key_file"],
                "a certificate and its key go together: set tls_cert_file and tls_key_file, or neither",
            );
        }
        self.file("server.tls_cert_file", tls_cert_file.as_ref());
        self.file("server.tls_key_file", tls_key_file.as_ref());
        let Server { listen, operator_listen, .. } = &self.loaded.settings.server;
        if listen == operator_listen && listen.port() != 0 {
            self.fault(
                &["server.operator_listen", "server.listen"],
                "players and operators need a port each: change one",
            );
        }
    }

    fn equipment(&mut self) {
        let equipment = &self.loaded.settings.equipment;
        let mut seen = BTreeSet::new();
        for slot in equipment.slots.iter().filter(|slot| !seen.insert(*slot)) {
            self.fault(&["equipment.slots"], format_args!("{slot} stands twice: take one away"));
        }
        let [first, second] = &equipment.hands;
        if first == second {
            self.fault(&["equipment.hands"], "the hands are two different slots");
        }
        for hand in equipment.hands.iter().filter(|hand| !equipment.slots.contains(*hand)) {
            self.fault(
                &["equipment.hands", "equipment.slots"],
                format_args!("the hand {hand} is none of equipment.slots: add it there"),
            );
        }
    }

    fn kit(&mut self) {
        let mut seen = BTreeSet::new();
        for line in self.loaded.settings.new_player.kit.iter().filter(|line| !seen.insert(&line.item)) {
            self.fault(&["new_player.kit"], format_args!("{} stands twice: add the quantities up", line.item));
        }
    }

    fn store(&mut self) {
        let Store { password_file, ca_file, .. } = &self.loaded.settings.store;
        self.file("store.password_file", password_file.as_ref());
        self.file("store.ca_file", ca_file.as_ref());
    }

    fn times(&mut self) {
        let limits = &self.loaded.settings.limits;
        if limits.ping_interval_ms >= limits.idle_timeout_ms {
            self.fault(
                &["limits.ping_interval_ms", "limits.idle_timeout_ms"],
                "a client must be pinged before it counts as gone: ping_interval_ms must be below idle_timeout_ms",
            );
        }
    }
}
