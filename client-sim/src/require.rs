//! Requirements on a run, such as `p99_us<5000`: read before it begins, judged when it is over.
//!
//! Called by the command line.

use crate::report::Report;
use serde::Serialize;
use std::{fmt, str::FromStr};

/// A figure that can be required, and how it is read off a report: `None` where it was not measured.
type Figure = (&'static str, fn(&Report) -> Option<f64>);

const FIGURES: [Figure; 9] = [
    ("throughput_per_s", |report| Some(report.throughput_per_s)),
    ("p50_us", |report| report.measured(report.latency_us.p50)),
    ("p90_us", |report| report.measured(report.latency_us.p90)),
    ("p99_us", |report| report.measured(report.latency_us.p99)),
    ("p999_us", |report| report.measured(report.latency_us.p999)),
    ("max_us", |report| report.measured(report.latency_us.max)),
    ("refused_ratio", Report::refused_ratio),
    ("collapsed", |report| Some(report.collapsed as f64)),
    ("violations", |report| Some(report.violations_count as f64)),
];

/// How a figure is compared.
type Compare = fn(&f64, &f64) -> bool;

/// The signs of comparison, longer ones first.
const SIGNS: [(&str, Compare); 4] = [("<=", f64::le), (">=", f64::ge), ("<", f64::lt), (">", f64::gt)];

/// The names of all figures, for who has misspelt one.
#[must_use]
pub fn names() -> String {
    FIGURES.map(|(name, _)| name).join(", ")
}

/// One requirement.
#[derive(Clone)]
pub struct Requirement {
    text: String,
    read: fn(&Report) -> Option<f64>,
    holds: Compare,
    bound: f64,
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sign = SIGNS.iter().find_map(|(sign, holds)| text.split_once(sign).map(|sides| (*sign, *holds, sides)));
        let (sign, holds, (name, bound)) =
            sign.ok_or_else(|| format!("it is FIGURE, one of < <= > >=, and a number; the figures are {}", names()))?;
        let (name, bound) = (name.trim(), bound.trim());
        let figure = FIGURES.iter().find(|(known, _)| *known == name);
        let (name, read) = *figure.ok_or_else(|| format!("there is no {name:?}; the figures are {}", names()))?;
        match bound.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                Ok(Self { text: format!("{name} {sign} {bound}"), read, holds, bound: number })
            }
            _ => Err(format!("{bound:?} is not a number")),
        }
    }
}

impl Requirement {
    /// Whether the run was as required. What was not measured is not.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Judged {
        let found = (self.read)(report);
        let met = found.is_some_and(|found| (self.holds)(&found, &self.bound));
        Judged { requirement: self.text.clone(), found, met }
    }
}

/// What became of a requirement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What was required.
    pub requirement: String,
    /// What was found; absent where it was not measured.
    pub found: Option<f64>,
    /// Whether that is enough.
    pub met: bool,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.met { "met" } else { "FAILED" };
        write!(f, "{:<6} {}", verdict, self.requirement)?;
        match self.found {
            Some(found) => write!(f, " (it was {})", (found * 1000.0).round() / 1000.0),
            None => write!(f, " (it was not measured)"),
        }
    }
}
