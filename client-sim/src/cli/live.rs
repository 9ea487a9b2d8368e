//! The live line of a run, on standard error: a bar on a terminal, a line a second elsewhere.

use holdall_client_sim::report::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::{io::IsTerminal as _, time::Duration};

/// The live line.
pub(crate) struct Live(Option<ProgressBar>);

impl Live {
    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{prefix:>7} {bar:24.cyan/dim} {wide_msg}").expect("it is well formed");
            ProgressBar::new(1).with_style(style.progress_chars("━━─"))
        });
        Self(bar)
    }

    /// Shows how it goes now.
    pub(crate) fn show(&self, progress: &Progress) {
        let Some(bar) = &self.0 else { return eprintln!("{progress}") };
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let elapsed = progress.phase_elapsed;
        let total = progress.phase_total.unwrap_or(elapsed).max(Duration::from_millis(1));
        bar.set_length(millis(total));
        bar.set_position(millis(elapsed.min(total)));
        bar.set_prefix(progress.phase.name());
        let time = match progress.phase_total {
            Some(total) => {
                format!("{:.0}s, {:.0}s left", elapsed.as_secs_f64(), total.saturating_sub(elapsed).as_secs_f64())
            }
            None => format!("{:.0}s", elapsed.as_secs_f64()),
        };
        bar.set_message(format!("{time}  {}", progress.figures()));
    }

    /// Leaves nothing behind.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
