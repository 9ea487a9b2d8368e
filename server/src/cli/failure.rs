//! Why a command did not do what it was asked for, and the exit code of that.

use super::{EXIT_FAILED, EXIT_STORE_REFUSED, EXIT_USAGE, fail, report};
use crate::{app::StartError, config::Faults, operator::client::ClientError, upkeep::copy::CopyError};
use std::process::ExitCode;

/// A command's failure.
#[derive(Debug)]
pub(super) enum Failure {
    /// The settings cannot be used.
    Settings(Faults),
    /// Anything else.
    Other {
        /// The exit code.
        code: u8,
        /// What went wrong and what to do.
        why: String,
    },
}

impl Failure {
    pub(super) fn usage(why: impl Into<String>) -> Self {
        Self::Other { code: EXIT_USAGE, why: why.into() }
    }

    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self::Other { code: EXIT_FAILED, why: why.into() }
    }

    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self::Other { code: EXIT_STORE_REFUSED, why: why.into() }
    }

    /// The same, and what else to know, unless it has to be said differently anyway.
    pub(super) fn hinting(self, hint: &str) -> Self {
        match self {
            Self::Settings(faults) => Self::Settings(faults),
            Self::Other { code: EXIT_USAGE, why } => Self::usage(why),
            Self::Other { code, why } => Self::Other { code, why: format!("{why}\n{hint}") },
        }
    }

    /// Says it on stderr.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            Self::Settings(faults) => report(faults),
            Self::Other { code, why } => fail(*code, why),
        }
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Settings(faults)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(why) => Self::usage(why),
            StartError::Store(why) => Self::refused(why),
        }
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        Self::refused(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::refused(error.to_string())
    }
}
