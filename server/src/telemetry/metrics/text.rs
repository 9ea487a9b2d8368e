//! The text in which Prometheus reads metrics (exposition format 0.0.4).

use std::fmt::{Display, Write as _};

/// The media type of the whole.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Histogram,
}

impl Type {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The two lines before a metric's samples.
pub(super) fn head(out: &mut String, name: &str, kind: Type, help: &str) {
    write(out, format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str()));
}

/// One sample. Label values are names of ours: nothing in them needs escaping.
pub(super) fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    out.push_str(name);
    for (at, (label, text)) in labels.iter().enumerate() {
        let before = if at == 0 { '{' } else { ',' };
        write(out, format_args!("{before}{label}=\"{text}\""));
    }
    if !labels.is_empty() {
        out.push('}');
    }
    write(out, format_args!(" {value}\n"));
}

/// A metric of one sample that was measured just now.
pub(super) fn single(out: &mut String, name: &str, kind: Type, help: &str, value: impl Display) {
    head(out, name, kind, help);
    sample(out, name, &[], value);
}

fn write(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}
