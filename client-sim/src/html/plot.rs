//! Plots as SVG: lines and stacked bars over time, and bars over latencies.
//!
//! A plot is drawn in units of its own and scaled by the browser. Each moment is a column that shows what it stands for when
//! it is pointed at.

use super::{
    escape,
    scale::{Scale, short, times},
};
use crate::series::Bucket;
use std::fmt::Write as _;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 230.0;
/// Where the axes meet, and where they end.
const LEFT: f64 = 54.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = HEIGHT - 30.0;

/// How much higher than its highest bar a plot is whose marks have labels.
const HEADROOM: f64 = 1.15;

/// The least that an axis of counts reaches up to, so that its labels are whole numbers.
const COUNT_MIN: f64 = 5.0;

/// One line, or one layer of bars, over the moments.
pub(super) struct Line {
    /// Its name in the legend.
    pub(super) name: String,
    /// Its value at each moment; `None` where there is none.
    pub(super) values: Vec<Option<f64>>,
}

/// What a plot over time shows.
pub(super) struct Plot<'a> {
    /// Its title.
    pub(super) title: &'a str,
    /// What its numbers are.
    pub(super) unit: &'a str,
    /// The end of each moment, in seconds.
    pub(super) at: &'a [f64],
    /// What is drawn.
    pub(super) lines: Vec<Line>,
    /// What is written where there is nothing to draw.
    pub(super) empty: &'a str,
}

/// How a plot over time is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Lines from 0 up.
    Lines,
    /// Lines, each tenth of the height a multiple.
    LogLines,
    /// Bars that stand on each other.
    Bars,
}

fn x(place: f64) -> f64 {
    LEFT + place * (RIGHT - LEFT)
}

fn y(place: f64) -> f64 {
    BOTTOM - place * (BOTTOM - TOP)
}

impl Plot<'_> {
    /// The figure.
    pub(super) fn draw(&self, style: Style) -> String {
        let scale = match style {
            Style::Lines => Some(Scale::linear(self.all())).filter(|_| self.all().next().is_some()),
            Style::LogLines => Scale::log(self.all()),
            Style::Bars => self.lines.first().map(|_| Scale::linear(self.sums().chain([COUNT_MIN]))),
        };
        let Some(scale) = scale else { return nothing(self.title, self.empty) };
        let end = self.at.last().copied().unwrap_or(1.0).max(f64::EPSILON);
        let mut svg = axes(scale, |value| y(scale.place(value)));
        for (at, label) in times(end) {
            below(&mut svg, x(at / end), &label);
        }
        // The first line lies on top of the others.
        for number in (0..self.lines.len()).rev() {
            match style {
                Style::Lines | Style::LogLines => self.line(&mut svg, number, scale, end),
                Style::Bars => self.bars(&mut svg, number, scale, end),
            }
        }
        self.columns(&mut svg, end);
        // One line is what the title says; one kind of bars has a name of its own.
        let named = self.lines.len() > 1 || style == Style::Bars;
        let names: Vec<&str> = self.lines.iter().filter(|_| named).map(|line| line.name.as_str()).collect();
        figure(self.title, self.unit, &names, &svg)
    }

    fn all(&self) -> impl Iterator<Item = f64> + Clone {
        self.lines.iter().flat_map(|line| line.values.iter().copied().flatten())
    }

    /// How high each moment's bars stand.
    fn sums(&self) -> impl Iterator<Item = f64> {
        (0..self.at.len()).map(|moment| self.lines.iter().map(|line| line.value(moment)).sum())
    }

    fn line(&self, svg: &mut String, number: usize, scale: Scale, end: f64) {
        let values = self.lines.get(number).map_or(&[][..], |line| &line.values);
        let mut path = String::new();
        let mut alone = Vec::new();
        let mut before = false;
        for (moment, (at, value)) in self.at.iter().zip(values).enumerate() {
            if let Some(value) = value {
                let (x, y) = (x(at / end), y(scale.place(*value)));
                let _ = write!(path, "{}{x:.1} {y:.1}", if before { "L" } else { "M" });
                let after = values.get(moment + 1).copied().flatten().is_some();
                if !before && !after {
                    alone.push((x, y));
                }
            }
            before = value.is_some();
        }
        let _ = write!(svg, r#"<path class="line c{number}" d="{path}"/>"#);
        for (x, y) in alone {
            let _ = write!(svg, r#"<circle class="dot c{number}" cx="{x:.1}" cy="{y:.1}" r="2.5"/>"#);
        }
    }

    fn bars(&self, svg: &mut String, number: usize, scale: Scale, end: f64) {
        let mut path = String::new();
        for (moment, (left, right)) in self.spans(end).enumerate() {
            let under: f64 = self.lines.iter().take(number).map(|line| line.value(moment)).sum();
            let value = self.lines.get(number).map_or(0.0, |line| line.value(moment));
            if value > 0.0 {
                let gap = ((right - left) * 0.15).min(1.5);
                let (top, bottom) = (y(scale.place(under + value)), y(scale.place(under)));
                let (left, right) = (left + gap, right - gap);
                let _ = write!(path, "M{left:.1} {bottom:.1}V{top:.1}H{right:.1}V{bottom:.1}Z");
            }
        }
        let _ = write!(svg, r#"<path class="bar c{number}" d="{path}"/>"#);
    }

    /// From where to where each moment reaches.
    fn spans(&self, end: f64) -> impl Iterator<Item = (f64, f64)> {
        let starts = std::iter::once(0.0).chain(self.at.iter().copied());
        starts.zip(self.at).map(move |(start, at)| (x(start / end), x(at / end)))
    }

    fn columns(&self, svg: &mut String, end: f64) {
        for (moment, ((left, right), at)) in self.spans(end).zip(self.at).enumerate() {
            let value = |line: &Line| match line.values.get(moment).copied().flatten() {
                Some(value) => {
                    Some(format!("{} {}", line.name, short(value))).filter(|_| value > 0.0 || line.has_gaps())
                }
                None => None,
            };
            let values: Vec<String> = self.lines.iter().filter_map(value).collect();
            let values = if values.is_empty() { "nothing".to_owned() } else { values.join(", ") };
            column(svg, left, right, &format!("{} s: {values}", short(*at)));
        }
    }
}

impl Line {
    fn value(&self, moment: usize) -> f64 {
        self.values.get(moment).copied().flatten().unwrap_or_default()
    }

    /// Whether a 0 tells something, which it does not in a layer of bars.
    fn has_gaps(&self) -> bool {
        self.values.iter().any(Option::is_none) || self.values.iter().flatten().all(|value| *value > 0.0)
    }
}

/// How many latencies there were of each size, with the median and the 99th percentile marked.
pub(super) fn histogram(title: &str, buckets: &[Bucket], marks: &[(&str, u64)]) -> String {
    let ms = |micros: u64| micros as f64 / 1e3;
    // The first bound is none where nothing lies below it.
    let from = |bucket: &Bucket| ms(bucket.above_us).max(ms(bucket.upto_us) / 1.6);
    let bounds = buckets.iter().flat_map(|bucket| [from(bucket), ms(bucket.upto_us)]);
    let Some(across) = Scale::log(bounds) else { return nothing(title, "Nothing was measured.") };
    let up = Scale::linear(buckets.iter().map(|bucket| bucket.count as f64 * HEADROOM));
    let mut svg = axes(up, |value| y(up.place(value)));
    for tick in across.ticks() {
        below(&mut svg, x(across.place(tick)), &format!("{} ms", short(tick)));
    }
    let mut path = String::new();
    let mut columns = String::new();
    for bucket in buckets {
        let (left, right) = (x(across.place(from(bucket))), x(across.place(ms(bucket.upto_us))));
        let top = y(up.place(bucket.count as f64));
        let _ = write!(path, "M{:.1} {BOTTOM}V{top:.1}H{:.1}V{BOTTOM}Z", left + 0.5, right - 0.5);
        let (low, high) = (short(ms(bucket.above_us)), short(ms(bucket.upto_us)));
        column(&mut columns, left, right, &format!("{low} to {high} ms: {}", bucket.count));
    }
    let _ = write!(svg, r#"<path class="bar c0" d="{path}"/>"#);
    for (number, (name, micros)) in marks.iter().enumerate() {
        let at = x(across.place(ms(*micros)));
        let label = TOP + 8.0 + 15.0 * number as f64;
        let (anchor, beside) = if at > RIGHT - 60.0 { ("end", at - 4.0) } else { ("start", at + 4.0) };
        let _ = write!(
            svg,
            r#"<path class="mark" d="M{at:.1} {TOP}V{BOTTOM}"/><text class="marked" text-anchor="{anchor}" x="{beside:.1}" y="{label:.1}">{}</text>"#,
            escape(name)
        );
    }
    svg.push_str(&columns);
    figure(title, "replies by their latency", &[], &svg)
}

/// The lines and labels of the upright axis.
fn axes(scale: Scale, place: impl Fn(f64) -> f64) -> String {
    let mut svg = String::new();
    for tick in scale.ticks() {
        let y = place(tick);
        let _ = write!(
            svg,
            r#"<path class="grid" d="M{LEFT} {y:.1}H{RIGHT}"/><text text-anchor="end" x="{:.1}" y="{:.1}">{}</text>"#,
            LEFT - 6.0,
            y + 4.0,
            short(tick)
        );
    }
    svg
}

/// A label of the level axis. The outermost do not reach beyond the picture.
fn below(svg: &mut String, at: f64, label: &str) {
    let anchor = if at > RIGHT - 12.0 { "end" } else { "middle" };
    let at = if at > RIGHT - 12.0 { WIDTH - 2.0 } else { at };
    let _ = write!(svg, r#"<text text-anchor="{anchor}" x="{at:.1}" y="{:.1}">{label}</text>"#, BOTTOM + 18.0);
}

fn column(svg: &mut String, left: f64, right: f64, says: &str) {
    let (width, height) = ((right - left).max(0.1), BOTTOM - TOP);
    let says = escape(says);
    let _ = write!(
        svg,
        r#"<rect class="hit" x="{left:.1}" y="{TOP}" width="{width:.1}" height="{height}"><title>{says}</title></rect>"#
    );
}

fn figure(title: &str, unit: &str, names: &[&str], svg: &str) -> String {
    let mut legend = String::new();
    for (number, name) in names.iter().enumerate() {
        let _ = write!(legend, r#"<span class="key c{number}">{}</span>"#, escape(name));
    }
    let (title, unit) = (escape(title), escape(unit));
    format!(
        r#"<figure><figcaption><h3>{title}</h3> <small>{unit}</small><div class="legend">{legend}</div></figcaption>
<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}, {unit}">{svg}</svg><output></output></figure>
"#
    )
}

fn nothing(title: &str, why: &str) -> String {
    format!(
        "<figure><figcaption><h3>{}</h3></figcaption><p class=\"empty\">{}</p></figure>\n",
        escape(title),
        escape(why)
    )
}
