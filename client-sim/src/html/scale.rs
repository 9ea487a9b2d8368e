//! Scales of a plot: where a value lies, and which values get a label.

/// How values become places between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// From 0 to this.
    Linear(f64),
    /// From one to the other, each tenfold as wide as the next.
    Log(f64, f64),
}

/// Labels of an axis, at most.
const TICKS_MAX: f64 = 5.0;

impl Scale {
    /// From 0 to a round number above all of these.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let most = values.fold(0.0, f64::max);
        let step = round_step(most.max(1.0) / TICKS_MAX);
        Self::Linear((most.max(1.0) / step).ceil() * step)
    }

    /// From a round number below all of these to one above; `None` without any above 0.
    pub(super) fn log(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let positive = || values.clone().filter(|value| *value > 0.0);
        let (least, most) = (positive().reduce(f64::min)?, positive().reduce(f64::max)?);
        let low = round_below(least);
        let high = round_numbers(low).find(|number| *number >= most && *number > low * 4.0)?;
        Some(Self::Log(low, high))
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear(most) => value / most,
            Self::Log(low, high) => (value.max(low) / low).ln() / (high / low).ln(),
        };
        place.clamp(0.0, 1.0)
    }

    /// The values that get a label.
    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear(most) => {
                let step = round_step(most / TICKS_MAX);
                multiples(step, most)
            }
            Self::Log(low, high) => {
                let all: Vec<f64> = round_numbers(low).take_while(|number| *number <= high * 1.001).collect();
                let decades = all.iter().copied().filter(|number| is_decade(*number)).collect::<Vec<_>>();
                if all.len() > 7 && decades.len() > 1 { decades } else { all }
            }
        }
    }
}

/// 0, a step, two steps, up to the most.
fn multiples(step: f64, most: f64) -> Vec<f64> {
    (0..=1_000_u32).map(|times| f64::from(times) * step).take_while(|value| *value <= most * 1.001).collect()
}

/// 1, 2 or 5 times a power of ten, at least this.
fn round_step(least: f64) -> f64 {
    round_numbers(10_f64.powf(least.log10().floor())).find(|number| *number >= least * 0.999).unwrap_or(least)
}

/// The largest 1, 2 or 5 times a power of ten that is not above this.
fn round_below(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    round_numbers(decade).take_while(|number| *number <= value * 1.001).last().unwrap_or(decade)
}

/// 1, 2, 5, 10, 20, 50 … from a round number on.
fn round_numbers(from: f64) -> impl Iterator<Item = f64> {
    let decade = 10_f64.powf((from.log10() + 1e-9).floor());
    let numbers = (0..40_i32).flat_map(move |power| [1.0, 2.0, 5.0].map(|digit| digit * decade * 10_f64.powi(power)));
    numbers.skip_while(move |number| *number < from * 0.999)
}

fn is_decade(number: f64) -> bool {
    let power = number.log10();
    (power - power.round()).abs() < 1e-6
}

/// Steps between labels of time, in seconds.
const TIME_STEPS: [f64; 19] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0,
    14_400.0, 86_400.0,
];

/// The moments of a play that get a label, with it.
pub(super) fn times(seconds: f64) -> Vec<(f64, String)> {
    let [.., longest] = TIME_STEPS;
    let step = TIME_STEPS.into_iter().find(|step| step * 6.0 >= seconds).unwrap_or(longest);
    let (unit, name) = match step {
        60.0..3_600.0 => (60.0, "min"),
        3_600.0.. => (3_600.0, "h"),
        _ => (1.0, "s"),
    };
    multiples(step, seconds).into_iter().map(|at| (at, format!("{} {name}", short(at / unit)))).collect()
}

/// A number in at most about four digits, large ones with a letter.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e9 => format!("{}G", digits(value / 1e9)),
        size if size >= 1e6 => format!("{}M", digits(value / 1e6)),
        size if size >= 1e4 => format!("{}k", digits(value / 1e3)),
        _ => digits(value),
    }
}

/// Three significant digits, and no zeros behind the point.
fn digits(value: f64) -> String {
    let places = match value.abs() {
        0.0..0.1 => 3,
        0.1..1.0 => 2,
        1.0..100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_round_and_few() {
        assert_eq!(Scale::linear([0.0, 830.0].into_iter()), Scale::Linear(1_000.0));
        assert_eq!(Scale::Linear(1_000.0).ticks(), [0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0]);
        assert_eq!(Scale::linear([].into_iter()), Scale::Linear(1.0), "nothing at all has a scale, too");
        let log = Scale::log([0.31, 47.0].into_iter()).unwrap();
        assert_eq!(log.ticks(), [1.0, 10.0], "over more than two decades only the decades");
        assert_eq!(
            Scale::log([3.0, 3.0].into_iter()).unwrap().ticks(),
            [2.0, 5.0, 10.0],
            "never a scale without width"
        );
        assert_eq!(Scale::log([0.0].into_iter()), None);
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        let labels = |seconds| times(seconds).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(1.0), ["0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1 s"]);
        assert_eq!(labels(60.0), ["0 s", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]);
        assert_eq!(labels(300.0), ["0 min", "1 min", "2 min", "3 min", "4 min", "5 min"]);
        assert_eq!(labels(20_000.0), ["0 h", "1 h", "2 h", "3 h", "4 h", "5 h"]);
    }

    #[test]
    fn large_numbers_are_short() {
        assert_eq!([0.0, 0.25, 12.0, 1234.0, 25_000.0, 3.1e6].map(short), ["0", "0.25", "12", "1234", "25k", "3.1M"]);
    }
}
