//! Whether the server can take players, and if not, why.

use parking_lot::Mutex;
use std::collections::BTreeMap;

/// The reasons against being ready, by what they are about. Ready is: there are none.
pub struct Readiness {
    store: String,
    durability: Box<dyn Fn() -> String + Send + Sync>,
    reasons: Mutex<BTreeMap<&'static str, String>>,
}

impl Readiness {
    /// Not ready yet, because of `starting`, over this store and with this promise, which may change while the server runs.
    #[must_use]
    pub fn starting(store: &str, durability: Box<dyn Fn() -> String + Send + Sync>) -> Self {
        let reasons = Mutex::new(BTreeMap::from([("starting", "the server has not finished starting".to_owned())]));
        Self { store: store.into(), durability, reasons }
    }

    /// Adds the reason about `subject`, or replaces it.
    pub fn block(&self, subject: &'static str, reason: &str) {
        self.reasons.lock().insert(subject, reason.into());
    }

    /// Takes the reason about `subject` away.
    pub fn unblock(&self, subject: &'static str) {
        self.reasons.lock().remove(subject);
    }

    /// Whether there is no reason left.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reasons.lock().is_empty()
    }

    /// The reasons as `subject: reason`, in a stable order.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        self.reasons.lock().iter().map(|(subject, reason)| format!("{subject}: {reason}")).collect()
    }

    /// The store's name.
    #[must_use]
    pub fn store(&self) -> &str {
        &self.store
    }

    /// What an acknowledgement promises.
    #[must_use]
    pub fn durability(&self) -> String {
        (self.durability)()
    }
}
