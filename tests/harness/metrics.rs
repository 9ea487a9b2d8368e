//! A scrape of `/metrics`, read as strictly as the text format is written: every departure from it is a panic that says
//! where.

use std::collections::{BTreeMap, BTreeSet};

/// One sample: its name, its labels, its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name, with `_bucket`, `_sum` or `_count` where a histogram has them.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// All that stands under one name.
#[derive(Debug, Clone)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it means.
    pub help: String,
    /// The samples, in their order.
    pub samples: Vec<Sample>,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Scrape(BTreeMap<String, Family>);

impl Scrape {
    /// Reads the text.
    ///
    /// # Panics
    /// When anything in it is not as the format and its conventions want it.
    #[must_use]
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(head) = line.strip_prefix("# HELP ") {
                let (name, help) = head.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(is_name(name) && !help.trim().is_empty() && !help.contains('\\'), "{line}");
                let kind = lines.next().and_then(|next| next.strip_prefix(&format!("# TYPE {name} ")));
                let kind = kind.unwrap_or_else(|| panic!("no type after {line}")).to_owned();
                let family = Family { kind, help: help.to_owned(), samples: Vec::new() };
                assert!(families.insert(name.to_owned(), family).is_none(), "{name} comes twice");
                name.clone_into(&mut current);
            } else {
                let sample = sample(line);
                let family = families.get_mut(&current).unwrap_or_else(|| panic!("before any head: {line}"));
                let belongs = match family.kind.as_str() {
                    "histogram" => {
                        ["_bucket", "_sum", "_count"].iter().any(|end| sample.name == format!("{current}{end}"))
                    }
                    _ => sample.name == current,
                };
                assert!(belongs, "{line} stands under {current}");
                family.samples.push(sample);
            }
        }
        families.iter().for_each(|(name, family)| family.check(name));
        Self(families)
    }

    /// Every metric by its name.
    #[must_use]
    pub const fn families(&self) -> &BTreeMap<String, Family> {
        &self.0
    }

    /// The names of all samples.
    #[must_use]
    pub fn sample_names(&self) -> BTreeSet<&str> {
        self.0.values().flat_map(|family| &family.samples).map(|sample| sample.name.as_str()).collect()
    }

    /// The sum of all samples of this name that have these labels; 0 where there are none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
        };
        self.0.values().flat_map(|family| &family.samples).filter(has).map(|sample| sample.value).sum()
    }
}

impl Family {
    fn check(&self, name: &str) {
        assert!(name.starts_with("holdall_"), "{name} is not ours");
        assert_eq!(self.kind == "counter", name.ends_with("_total"), "{name} is a {}", self.kind);
        assert!(["counter", "gauge", "histogram"].contains(&self.kind.as_str()), "{name} is a {}", self.kind);
        for unit in ["_ms", "_millis", "_us", "_nanos", "_kb", "_kib", "_mb", "_minutes"] {
            assert!(!name.trim_end_matches("_total").ends_with(unit), "{name} is not in base units");
        }
        let mut seen = BTreeSet::new();
        for sample in &self.samples {
            assert!(seen.insert((&sample.name, &sample.labels)), "{sample:?} comes twice");
            assert!(sample.value >= 0.0, "{sample:?}");
        }
        if self.kind == "histogram" {
            self.check_buckets(name);
        }
    }

    fn check_buckets(&self, name: &str) {
        let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
            let mut labels = sample.labels.clone();
            let le = labels.remove("le").unwrap_or_else(|| panic!("no bound: {sample:?}"));
            let bound = if le == "+Inf" { f64::INFINITY } else { le.parse().expect("a number") };
            series.entry(labels).or_default().push((bound, sample.value));
        }
        for (labels, buckets) in series {
            for pair in buckets.windows(2) {
                assert!(pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1, "{name}: buckets rise: {buckets:?}");
            }
            let (bound, all) = buckets.last().copied().expect("buckets");
            assert!(bound.is_infinite(), "{name}: the last bucket takes everything");
            let of = |end: &str| {
                let sample = self.samples.iter().find(|s| s.name == format!("{name}{end}") && s.labels == labels);
                sample.unwrap_or_else(|| panic!("{name}{end} is missing")).value
            };
            assert!((of("_count") - all).abs() < f64::EPSILON, "{name}: the count is that of all buckets");
            assert!(all > 0.0 || of("_sum") == 0.0, "{name}: nothing sums up to nothing");
        }
    }
}

/// `name{label="value",…} value`, with nothing left out and nothing more.
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let (name, labels) = match series.split_once('{') {
        None => (series, BTreeMap::new()),
        Some((name, rest)) => {
            let inside = rest.strip_suffix('}').unwrap_or_else(|| panic!("labels do not end: {line}"));
            let labels = inside.split(',').map(|pair| label(pair).unwrap_or_else(|| panic!("{pair} in {line}")));
            let labels: Vec<_> = labels.collect();
            let map: BTreeMap<_, _> = labels.iter().cloned().collect();
            assert_eq!(map.len(), labels.len(), "a label comes twice: {line}");
            (name, map)
        }
    };
    assert!(is_name(name), "{line}");
    Sample { name: name.to_owned(), labels, value }
}

fn label(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let value = value.strip_prefix('"')?.strip_suffix('"')?;
    let plain = !value.is_empty() && !value.contains(['"', '\\']);
    (plain && is_name(name)).then(|| (name.to_owned(), value.to_owned()))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
