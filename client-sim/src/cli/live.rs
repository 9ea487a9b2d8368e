//! The live line of a run, on standard error.

use holdall_client_sim::report::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;

/// The live line: drawn over itself on a terminal, written line by line elsewhere.
pub(crate) struct Live(Option<ProgressBar>);

impl Live {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is well formed");
            ProgressBar::new_spinner().with_style(style)
        });
        Self(bar)
    }

    pub(crate) fn show(&self, progress: &Progress) {
        match &self.0 {
            Some(bar) => {
                bar.set_message(progress.to_string());
                bar.tick();
            }
            None => eprintln!("{progress}"),
        }
    }

    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
