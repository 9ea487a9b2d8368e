//! `verify`: the proof that nothing was lost, doubled or made up.

use super::{
    EXIT_FAILED, Failure,
    at::{At, AtArgs},
    print,
    progress::Progress,
};
use crate::{
    app::stores::Purpose,
    config::Settings,
    upkeep::verify::{By, Verified, verify},
};
use clap::Args;
use std::process::ExitCode;

/// What to verify.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Which store.
    #[command(flatten)]
    pub at: AtArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Verifies, and says what was found.
pub(super) async fn run(args: VerifyArgs) -> Result<ExitCode, Failure> {
    let settings = Settings::load(&args.at.sources())?.settings;
    let mut progress = Progress::new("verifying");
    let tell = |done, total| progress.tell(done, total);
    let verified: Verified = match At::reach(&settings, Purpose::Work).await? {
        At::Store(opened) => {
            let verified = verify(&*opened.store, By::Command, tell).await;
            verified.map_err(|error| Failure::refused(error.to_string()))?
        }
        At::Server(mut server) => server.work("/v1/verify", tell).await?,
    };
    drop(progress);
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&verified).expect("it serialises into memory"))
    } else {
        verified.to_string()
    };
    let printed = print(&text);
    Ok(if verified.faults.is_empty() { printed } else { ExitCode::from(EXIT_FAILED) })
}
