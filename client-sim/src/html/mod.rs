//! A report as one page: no outside resources, readable in light and dark, on a phone and on paper, without JavaScript.
//!
//! Called by the command line. Judges nothing.

mod plot;
mod scale;

use crate::{
    report::{Latency, Report, micros},
    series::Point,
};
use plot::{Line, Plot, Style};
use scale::short;
use std::{collections::BTreeMap, fmt::Write as _};

/// Kinds of refusals that have a colour of their own; the others share one.
const CODES_SHOWN: usize = 6;

/// One request in so many that was never sent goes without a warning.
const UNSENT_SHARE: u64 = 1_000;

/// Broken promises that the page shows; the JSON has more.
const VIOLATIONS_SHOWN: usize = 100;

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let name = report.config.scenario.as_deref().unwrap_or("a load test");
    let title = escape(name);
    let mut body = header(report, &title);
    body.push_str(&tiles(report));
    body.push_str(&requirements(report));
    let _ = write!(body, "<div class=\"plots\">\n{}</div>\n", plots(report));
    body.push_str(&violations(report));
    body.push_str(&abuses(report));
    let table = escape(report.to_string().trim_end());
    let _ = write!(body, "<h2>All figures</h2>\n<pre class=\"card figures\">{table}</pre>\n");
    body.push_str(&conservation(report));
    body.push_str(&origin(report));
    let (style, script) = (include_str!("style.css"), include_str!("hover.js"));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · Holdall client-sim</title>\n\
         <style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )
}

/// Text that may stand anywhere in the page.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn header(report: &Report, title: &str) -> String {
    let failed = report.requirements.iter().filter(|judged| !judged.met).count();
    let (class, verdict) = if report.violations_count > 0 {
        ("bad", format!("{} promises broken", report.violations_count))
    } else if failed > 0 {
        ("bad", format!("{failed} of {} requirements failed", report.requirements.len()))
    } else {
        ("good", "all promises kept".to_owned())
    };
    let (url, bots, seconds) = (escape(report.config.url.as_str()), report.bots, report.duration_s);
    let mut html = format!(
        "<header>\n<div class=\"title\"><h1>{title}</h1><span class=\"badge {class}\">{verdict}</span></div>\n\
         <p>{bots} players at {url} for {seconds:.1} s, {}</p>\n</header>\n",
        escape(&report.began_at)
    );
    for why in &report.simulator.bottleneck {
        let why = escape(why);
        let _ =
            writeln!(html, "<p class=\"note\">These figures are the simulator’s as much as the server’s: {why}.</p>");
    }
    // Of what falls due in the very last moment, some never is sent; that is worth a line of the table only.
    let many = report.unsent > report.requests / UNSENT_SHARE;
    if let Some(unsent) = report.unsent_in_words().filter(|_| many) {
        let _ = writeln!(html, "<p class=\"note\">Requests were never sent: {}.</p>", escape(&unsent));
    }
    html
}

fn tiles(report: &Report) -> String {
    let Latency { p50, p99, p999, .. } = report.latency_us;
    let latency = |value: u64| report.measured(value).map_or("–".to_owned(), |_| micros(value));
    let percent = |ratio: f64| format!("{} %", short(ratio * 100.0));
    let Report { proven, bots, .. } = report;
    let proven = if proven == bots { "all".to_owned() } else { format!("{proven} / {bots}") };
    let mut tiles = vec![
        ("replies a second", short(report.throughput_per_s)),
        ("latency p50", latency(p50)),
        ("latency p99", latency(p99)),
        ("latency p99.9", latency(p999)),
        ("refused", report.refused_ratio().map_or("–".to_owned(), percent)),
        ("mirrors proven", proven),
        ("login p99", micros(report.login_us.p99)),
    ];
    if let Some(server) = &report.server {
        let cpu = server.cpu_us_per_request.map_or("–".to_owned(), |cpu| format!("{} µs", short(cpu)));
        tiles.push(("server CPU a request", cpu));
    }
    let tile = |(name, value): (&str, String)| {
        format!("<div class=\"tile\"><b>{}</b><span>{name}</span></div>\n", escape(&value))
    };
    format!("<div class=\"tiles\">\n{}</div>\n", tiles.into_iter().map(tile).collect::<String>())
}

fn requirements(report: &Report) -> String {
    if report.requirements.is_empty() {
        return String::new();
    }
    let mut html = "<h2>Requirements</h2>\n<div class=\"card scroll\"><table>\n".to_owned();
    for judged in &report.requirements {
        let (class, verdict) = if judged.met { ("good", "met") } else { ("bad", "failed") };
        let found = judged.found.map_or("not measured".to_owned(), |found| format!("it was {}", short(found)));
        let _ = writeln!(
            html,
            "<tr><td><span class=\"badge {class}\">{verdict}</span></td><td>{}</td><td>{found}</td></tr>",
            escape(&judged.requirement)
        );
    }
    html + "</table></div>\n<h2>How it went</h2>\n"
}

fn plots(report: &Report) -> String {
    let series = &report.series;
    let at: Vec<f64> = series.iter().map(|point| point.at_s).collect();
    let line = |name: &str, read: &dyn Fn(&Point) -> Option<f64>| Line {
        name: name.to_owned(),
        values: series.iter().map(read).collect(),
    };
    let ms =
        |read: fn(&Latency) -> u64| move |point: &Point| point.latency_us.as_ref().map(|all| read(all) as f64 / 1e3);
    let plot = |title, unit, empty, lines| Plot { title, unit, at: &at, lines, empty };
    let replies = vec![line("replies a second", &|point| Some(point.replies_per_s))];
    let latencies =
        vec![line("p50", &ms(|all| all.p50)), line("p99", &ms(|all| all.p99)), line("p99.9", &ms(|all| all.p999))];
    let cpu =
        [line("server", &|point| point.server_cpu_percent), line("simulator", &|point| point.simulator_cpu_percent)];
    let cpu = cpu.into_iter().filter(|line| line.values.iter().any(Option::is_some)).collect();
    let memory = vec![line("server", &|point| point.server_rss_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)))];
    let connected = vec![line("connected", &|point| Some(point.connected as f64))];
    let reconnects = vec![line("reconnects", &|point| Some(point.reconnects as f64).filter(|_| report.reconnects > 0))];
    let Latency { p50, p99, .. } = report.latency_us;
    let unknown = "The server’s process could not be read.";
    [
        plot("Throughput", "replies a second", "They did not play.", replies).draw(Style::Lines),
        plot("Latency", "ms, logarithmic", "Nothing was measured.", latencies).draw(Style::LogLines),
        plot::histogram("Latencies", &report.latency_buckets, &[("p50", p50), ("p99", p99)]),
        plot("Refusals", "by code, in each moment", "Nothing was refused.", refusals(report)).draw(Style::Bars),
        plot("CPU", "% of one core", "No process could be read.", cpu).draw(Style::Lines),
        plot("Server memory", "resident, MiB", unknown, memory).draw(Style::Lines),
        plot("Players connected", "at the end of each moment", "They did not play.", connected).draw(Style::Lines),
        plot("Reconnects", "in each moment", "Nobody had to come back.", reconnects).draw(Style::Lines),
    ]
    .concat()
}

/// A layer for each of the most frequent codes, and one for all others.
fn refusals(report: &Report) -> Vec<Line> {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (code, count) in report.series.iter().flat_map(|point| &point.refusals) {
        *totals.entry(code).or_default() += count;
    }
    let mut codes: Vec<(&str, u64)> = totals.into_iter().collect();
    codes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<&str> = codes.iter().take(CODES_SHOWN).map(|(code, _)| *code).collect();
    let layer = |name: &str, counts: &dyn Fn(&str) -> bool| Line {
        name: name.to_owned(),
        values: report
            .series
            .iter()
            .map(|point| {
                Some(point.refusals.iter().filter(|(code, _)| counts(code)).map(|(_, n)| *n).sum::<u64>() as f64)
            })
            .collect(),
    };
    let mut layers: Vec<Line> = shown.iter().map(|code| layer(code, &|other| other == *code)).collect();
    if codes.len() > CODES_SHOWN {
        layers.push(layer("others", &|code| !shown.contains(&code)));
    }
    layers
}

fn violations(report: &Report) -> String {
    if report.violations.is_empty() {
        return String::new();
    }
    let mut html = "<h2>Broken promises</h2>\n<ul class=\"card\">\n".to_owned();
    for violation in report.violations.iter().take(VIOLATIONS_SHOWN) {
        let _ = writeln!(html, "<li>{}</li>", escape(violation));
    }
    let more = report.violations_count.saturating_sub(u64::try_from(VIOLATIONS_SHOWN).unwrap_or(u64::MAX));
    if more > 0 {
        let _ = writeln!(html, "<li>and {more} more</li>");
    }
    html + "</ul>\n"
}

fn abuses(report: &Report) -> String {
    if report.abuses.is_empty() {
        return String::new();
    }
    let mut html = "<h2>Abuses, and how they ended</h2>\n<div class=\"card scroll\"><table>\n".to_owned();
    for (what, ends) in &report.abuses {
        let ends: Vec<String> = ends.iter().map(|(ended, count)| format!("{ended} {count}")).collect();
        let _ = writeln!(html, "<tr><th>{}</th><td>{}</td></tr>", escape(what), escape(&ends.join(", ")));
    }
    html + "</table></div>\n"
}

fn conservation(report: &Report) -> String {
    if report.conservation.is_empty() {
        return String::new();
    }
    let mut html = "<h2>Items and currencies</h2>\n<div class=\"card scroll\"><table>\n<tr><th></th>".to_owned();
    for column in ["at first", "granted", "sold for", "bought", "used", "dropped", "sold", "expected", "found"] {
        let _ = write!(html, "<th class=\"number\">{column}</th>");
    }
    html.push_str("<th></th></tr>\n");
    for (item, account) in &report.conservation {
        let _ = write!(html, "<tr><th>{}</th>", escape(item));
        for number in [
            account.initial,
            account.granted,
            account.proceeds,
            account.bought,
            account.used,
            account.dropped,
            account.sold,
            account.expected,
            account.found,
        ] {
            let _ = write!(html, "<td class=\"number\">{number}</td>");
        }
        let _ = writeln!(html, "<td class=\"word\">{}</td></tr>", account.state.name());
    }
    html + "</table></div>\n"
}

/// Where the figures come from, so that they can be had again.
fn origin(report: &Report) -> String {
    let mut html = String::new();
    if !report.command.is_empty() {
        let _ = writeln!(html, "<h2>Command</h2>\n<pre class=\"card\">{}</pre>", escape(&report.command.join(" ")));
    }
    let config = serde_json::to_string_pretty(&report.config).unwrap_or_default();
    let _ = writeln!(html, "<h2>Settings</h2>\n<pre class=\"card\">{}</pre>", escape(&config));
    html
}
