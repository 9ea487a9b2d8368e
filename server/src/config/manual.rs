//! The settings for people: the commented config file, and what is in force.

use super::{
    load::{Loaded, in_words},
    table::{KNOBS, Knob, Settings},
};
use std::fmt::Write as _;

const HEAD: &str = "\
# Holdall's settings. Every knob is here with its meaning; a line that begins with # is its default.
# Printed by `holdall config manual`; change the values, not the comments.
#
# A knob is set, from the weakest to the strongest, by its default, by this file, by the environment
# (HOLDALL_LIMITS__FRAME_BYTES_MAX=32768) and by flags (`holdall --help`). `holdall config show` tells which one
# stands, `holdall config check` what is wrong. Paths are relative to this file.
#
# `holdall reload` or SIGHUP makes a running server read all of it again; what only a start reads says so.
";

/// The config file as it is shipped: every knob, explained.
#[must_use]
pub fn manual() -> String {
    let mut text = HEAD.to_owned();
    let defaults = Settings::default().values();
    for (n, (knob, default)) in KNOBS.iter().zip(defaults).enumerate() {
        open_section(&mut text, n, knob);
        for line in knob.doc {
            push(&mut text, format_args!("#{line}"));
        }
        if let Some(range) = knob.range {
            push(&mut text, format_args!("# A number {}.", in_words(Some(range))));
        }
        if knob.needs_restart() && !section_needs_restart(knob.section) {
            text.push_str("# Read at the start only.\n");
        }
        match knob.shipped {
            Some(value) => push(&mut text, format_args!("{} = {value}", knob.name)),
            None => push(&mut text, format_args!("# {} = {default}", knob.name)),
        }
    }
    text
}

/// A section's heading before its first knob, and an empty line before the others.
fn open_section(text: &mut String, n: usize, knob: &Knob) {
    text.push('\n');
    let before = n.checked_sub(1).and_then(|before| KNOBS.get(before));
    if before.is_some_and(|before| before.section == knob.section) {
        return;
    }
    let at_start = if section_needs_restart(knob.section) { " Read at the start only." } else { "" };
    push(text, format_args!("#{}{at_start}\n[{}]\n", knob.about, knob.section));
}

fn section_needs_restart(section: &str) -> bool {
    KNOBS.iter().filter(|knob| knob.section == section).all(Knob::needs_restart)
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to memory cannot fail");
}

impl Loaded {
    /// Every knob with its value and where it came from, as a config file.
    #[must_use]
    pub fn show(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for (knob, value) in KNOBS.iter().zip(self.settings.values()) {
            if knob.section != section {
                section = knob.section;
                let gap = if text.is_empty() { "" } else { "\n" };
                push(&mut text, format_args!("{gap}[{section}]"));
            }
            push(&mut text, format_args!("{:<48} # {}", format!("{} = {value}", knob.name), self.origin(knob.path)));
        }
        text
    }
}
