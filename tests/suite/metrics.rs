//! `/metrics`: what was played is what was counted, nobody is named, and whatever dashboard, alerts and reference name is there.

use crate::inbox;
use holdall_harness::{
    child::{PATIENCE, Server, Site},
    client::{Client, drop_item, gift, grant, item, stats},
    metrics::Scrape,
    server::{self, TempDir},
    shop::{Stall, confirm, hold, hold_for, release},
    trade::{self, Traders, invite},
};
use holdall_protocol::{
    action::{self, Action, Target},
    close::Close,
    code::Code,
    frame::Subprotocol,
    message::{Answered, TradeEnd},
};
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::{sleep, timeout},
};

const DASHBOARD: &str = include_str!("../../config/grafana/holdall.json");
const RULES: &str = include_str!("../../config/prometheus/holdall.rules.yml");
const REFERENCE: &str = include_str!("../../config/METRICS.md");

async fn scrape(server: &Server) -> Scrape {
    let (status, text) = server.operate("GET", "/metrics", "").await;
    assert_eq!(status, 200, "{text}");
    Scrape::read(&text)
}

/// Scrapes until this holds: what is counted after a reply was written may be counted after its client has read it.
async fn scrape_until(server: &Server, holds: impl Fn(&Scrape) -> bool) -> Scrape {
    let mut last = scrape(server).await;
    let waiting = async {
        while !holds(&last) {
            sleep(Duration::from_millis(5)).await;
            last = scrape(server).await;
        }
    };
    let held = timeout(PATIENCE, waiting).await;
    held.unwrap_or_else(|_| panic!("it is never counted: {last:#?}"));
    last
}

/// A sample: its name, its labels, and its value.
type Sample<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

fn expect(scrape: &Scrape, wanted: &[Sample<'_>]) {
    for (name, labels, value) in wanted {
        let is = scrape.sum(name, labels);
        assert!((is - value).abs() < f64::EPSILON, "{name}{labels:?} is {is}, and {value} was played");
    }
}

fn answered(scrape: &Scrape) -> f64 {
    scrape.sum("holdall_actions_total", &[])
}

#[tokio::test]
async fn every_request_is_counted_by_what_it_asked_for_and_how_it_was_answered() {
    let server = Site::new().start().await;
    let mut anna = Client::join(server.game, Subprotocol::Json, "anna-whose-name-is-nobodys-business").await;
    anna.apply(grant("ore", 50)).await;
    for _ in 0..7 {
        anna.apply(drop_item("ore", 2)).await;
    }
    for _ in 0..3 {
        anna.refuse(drop_item("ore", 999)).await;
    }
    anna.refuse(Action::Use(action::Use { target: Target::Item(item("ore")) })).await;
    anna.question(stats()).await;
    let Answered::Snapshot(_) = anna.question(Action::Resync(action::Resync {})).await else { panic!("no snapshot") };
    let seen = scrape_until(&server, |scrape| scrape.sum("holdall_action_seconds_count", &[]) >= 14.0).await;
    let actions = "holdall_actions_total";
    expect(
        &seen,
        &[
            (actions, &[("action", "dev_grant"), ("result", "done")], 1.0),
            (actions, &[("action", "drop"), ("result", "done")], 7.0),
            (actions, &[("action", "drop"), ("result", Code::InsufficientQuantity.as_str())], 3.0),
            (actions, &[("action", "use"), ("result", Code::NotUsable.as_str())], 1.0),
            (actions, &[("action", "stats"), ("result", "done")], 1.0),
            (actions, &[("action", "resync"), ("result", "done")], 1.0),
            (actions, &[], 14.0),
            ("holdall_action_seconds_count", &[], 14.0),
            ("holdall_resyncs_total", &[("reason", "asked")], 1.0),
            ("holdall_resyncs_total", &[], 1.0),
            // Birth tells nobody a delta: the snapshot of the join shows it.
            ("holdall_frames_sent_total", &[("content", "delta")], 8.0),
            ("holdall_frames_sent_total", &[("content", "snapshot")], 2.0),
            // Welcome, four refusals, stats.
            ("holdall_frames_sent_total", &[("content", "other")], 6.0),
            ("holdall_sessions", &[], 1.0),
            ("holdall_players_loaded", &[], 1.0),
            ("holdall_loads_total", &[("result", "loaded")], 1.0),
            // Everything was acknowledged, and with it durable.
            ("holdall_pending_bytes", &[], 0.0),
            ("holdall_oldest_dirty_seconds", &[], 0.0),
            ("holdall_ledger_imbalances_total", &[], 0.0),
            ("holdall_ready", &[], 1.0),
            ("holdall_store_up", &[], 1.0),
            ("holdall_build_info", &[("store", "embedded"), ("version", env!("CARGO_PKG_VERSION"))], 1.0),
        ],
    );
    let commits = seen.sum("holdall_commit_answers_total", &[("answer", "applied")]);
    assert!((1.0..=9.0).contains(&commits), "nine revisions in {commits} commits");
    expect(&seen, &[("holdall_commit_seconds_count", &[], commits), ("holdall_commit_players_count", &[], commits)]);
    for name in ["holdall_action_seconds_sum", "holdall_commit_seconds_sum", "holdall_sent_bytes_total"] {
        assert!(seen.sum(name, &[]) > 0.0, "{name}");
    }
    for name in ["cpu_seconds_total", "resident_memory_bytes", "start_time_seconds", "open_fds"] {
        assert!(seen.sum(&format!("holdall_process_{name}"), &[]) > 0.0, "{name}");
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn gifts_trades_and_comings_and_goings_are_counted() {
    let site = inbox::site();
    let server = site.start().await;
    inbox::was_here(&site, &server, "carla").await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    traders.settle(revision).await;
    let Traders { mut anna, mut bert, .. } = traders;
    let trade = anna.step(invite("bert")).await.trade;
    bert.told().await;
    bert.step(trade::decline(trade)).await;
    anna.told_end(trade, TradeEnd::Declined).await;
    anna.apply(grant("health_potion", 5)).await;
    let potion = anna.stack("health_potion").1.instance;
    anna.apply(gift("bert", potion, 1)).await;
    anna.apply(gift("carla", potion, 2)).await;
    let away = anna.leave();
    let closed = ("holdall_connections_closed_total", [("close", "gone")]);
    scrape_until(&server, |scrape| scrape.sum(closed.0, &closed.1) >= 2.0).await;
    let anna = away.resume(server.game, Subprotocol::Msgpack, "anna").await;
    assert!(!anna.welcome().resumed, "without a linger she is loaded anew");
    let carla = Client::enter(server.game, "carla").await;
    let taken = [("step", "taken")];
    let seen = scrape_until(&server, |scrape| scrape.sum("holdall_gifts_total", &taken) >= 1.0).await;
    expect(
        &seen,
        &[
            ("holdall_gifts_total", &[("step", "given")], 1.0),
            ("holdall_gifts_total", &[("step", "left")], 1.0),
            ("holdall_gifts_total", &[("step", "taken")], 1.0),
            ("holdall_gifts_total", &[("step", "returned")], 0.0),
            ("holdall_trades_total", &[("end", "settled")], 1.0),
            ("holdall_trades_total", &[("end", "declined")], 1.0),
            ("holdall_trades_total", &[], 2.0),
            ("holdall_sessions", &[], 3.0),
            ("holdall_joins_total", &[], 5.0),
            ("holdall_resyncs_total", &[("reason", "reloaded")], 1.0),
            ("holdall_loads_total", &[], 5.0),
            ("holdall_players_dropped_total", &[], 0.0),
            ("holdall_ledger_imbalances_total", &[], 0.0),
        ],
    );
    let (status, text) = server.operate("GET", "/metrics", "").await;
    assert_eq!(status, 200);
    for secret in ["anna", "bert", "carla", "dev:", &trade.to_string(), &potion.to_string()] {
        assert!(!text.contains(secret), "{secret} is in the metrics");
    }
    drop((anna, bert, carla));
    assert_eq!(server.stop().await, Some(0));
}

/// What somebody is told who asks for this without upgrading the connection.
async fn turned_away(game: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(game).await.expect("it listens");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").expect("text");
    answer
}

#[tokio::test]
async fn what_is_turned_away_is_counted_by_why() {
    let site = Site::new().knob("limits.actions_per_second", 1).knob("limits.actions_burst", 4);
    let server = site.knob("limits.connections_max", 2).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let last = anna.send_all((0..20).map(|_| grant("ore", 1))).await;
    for seq in 1..=last {
        anna.reply(seq).await;
    }
    let mut again = Client::open(server.game, Subprotocol::Json).await;
    again.hello("dev:anna", None).await;
    let answer = turned_away(server.game, "/ws").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    again.expect_close(Close::RateLimited).await;
    drop(again);
    // Until the server has noticed that there is room again.
    let mut full = 1.0;
    while !turned_away(server.game, "/nowhere").await.starts_with("HTTP/1.1 404") {
        full += 1.0;
        sleep(Duration::from_millis(5)).await;
    }
    let refusals = |scrape: &Scrape| scrape.sum("holdall_connections_refused_total", &[]);
    let seen = scrape_until(&server, |scrape| refusals(scrape) > full).await;
    let refused = seen.sum("holdall_actions_total", &[("action", "dev_grant"), ("result", "rate_limited")]);
    assert!(refused > 5.0 && (answered(&seen) - 20.0).abs() < f64::EPSILON, "{refused} of 20 were too many");
    expect(
        &seen,
        &[
            ("holdall_connections_refused_total", &[("reason", "full")], full),
            ("holdall_connections_refused_total", &[("reason", "request")], 1.0),
            ("holdall_rate_limited_total", &[("of", "request")], refused),
            ("holdall_rate_limited_total", &[("of", "login")], 1.0),
            ("holdall_connections_closed_total", &[("close", Close::RateLimited.as_str())], 1.0),
        ],
    );
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn servers_in_one_process_count_each_for_itself() {
    let (one, other) = (TempDir::new(), TempDir::new());
    let busy = server::Server::start(one.path(), |_| {}).await;
    let idle = server::Server::start(other.path(), |_| {}).await;
    Client::enter(busy.game, "anna").await.apply(grant("ore", 1)).await;
    let seen =
        |address| async move { Scrape::read(&get(TcpStream::connect(address).await.expect("it listens")).await) };
    let (busy_seen, idle_seen) = (seen(busy.operator).await, seen(idle.operator).await);
    assert!(answered(&busy_seen) > 0.0 && answered(&idle_seen) == 0.0);
    busy.stop().await;
    idle.stop().await;
}

#[tokio::test]
async fn the_control_socket_tells_the_same() {
    let site = Site::new();
    let server = site.start().await;
    let socket = UnixStream::connect(site.dir().join("data/control.sock")).await.expect("it listens");
    let names = |scrape: &Scrape| scrape.families().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&Scrape::read(&get(socket).await)), names(&scrape(&server).await));
    assert_eq!(server.stop().await, Some(0));
}

/// The metrics over a connection of any kind, whose type is what Prometheus wants.
async fn get(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> String {
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("it reads");
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer").expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

#[tokio::test]
async fn dashboard_alerts_and_reference_name_what_is_there() {
    let server = Site::new().start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 1)).await;
    let seen = scrape_until(&server, |scrape| scrape.sum("holdall_action_seconds_count", &[]) >= 1.0).await;
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("the dashboard is JSON");
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row") {
        let said = |text: &serde_json::Value| text.as_str().is_some_and(|text| !text.is_empty());
        let unit = &panel["fieldConfig"]["defaults"]["unit"];
        assert!(said(&panel["title"]) && said(&panel["description"]) && said(unit), "it explains itself: {panel}");
        let targets = panel["targets"].as_array().expect("targets");
        queries.extend(targets.iter().map(|target| target["expr"].as_str().expect("a query").to_owned()));
    }
    let rules: Vec<&str> = RULES.split("- alert: ").skip(1).collect();
    for rule in &rules {
        let expression = rule.lines().find_map(|line| line.trim().strip_prefix("expr: ")).expect("an expression");
        queries.push(expression.to_owned());
        assert!(["severity:", "summary:", "description:"].iter().all(|part| rule.contains(part)), "{rule}");
    }
    assert!(queries.len() > 50 && rules.len() > 10, "{} queries, {} rules", queries.len(), rules.len());
    let all = queries.iter().flat_map(|query| metrics_of(query));
    for (name, labels) in all {
        let samples = seen.families().values().flat_map(|family| &family.samples);
        let sample = samples.into_iter().find(|sample| sample.name == name);
        let sample = sample.unwrap_or_else(|| panic!("{name} is named, and no server has it"));
        for label in labels.iter().filter(|label| *label != "instance") {
            assert!(sample.labels.contains_key(label), "{name} has no label {label}");
        }
    }
    let documented: BTreeSet<&str> =
        REFERENCE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let there: BTreeSet<&str> = seen.families().keys().map(String::as_str).collect();
    assert_eq!(documented, there, "the reference lists exactly what a server tells");
    for line in REFERENCE.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let family = &seen.families()[cells[1].trim_matches('`')];
        assert_eq!(cells[2], family.kind, "{line}");
        let labels: BTreeSet<&str> =
            family.samples.iter().flat_map(|sample| sample.labels.keys()).map(String::as_str).collect();
        for label in labels.iter().filter(|label| **label != "le") {
            assert!(cells[3].contains(&format!("`{label}`")), "{label} is missing in {line}");
        }
    }
    assert_eq!(server.stop().await, Some(0));
}

/// Every metric of a query, with the labels it is picked by.
fn metrics_of(query: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("holdall_") {
        let rest = &query[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let inside = after.strip_prefix('{').and_then(|after| after.split('}').next()).unwrap_or_default();
        let label = |pair: &str| pair.split(['=', '!']).next().unwrap_or_default().trim().to_owned();
        let labels = inside.split(',').filter(|pair| !pair.is_empty()).map(label).collect();
        found.push((name.to_owned(), labels));
    }
    found
}

#[tokio::test]
async fn what_becomes_of_holds_is_counted() {
    let stall = Stall::on_a_file();
    let server = stall.site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut holds = Vec::new();
    for _ in 0..3 {
        holds.push(anna.held(hold("bread", 1)).await);
    }
    anna.held(confirm(&holds[0])).await;
    anna.held(release(&holds[1])).await;
    let short = anna.held(hold_for("bread", 1, 1)).await;
    anna.until_hold_ends(short.reservation).await;
    let seen = scrape_until(&server, |scrape| scrape.sum("holdall_shop_expiries_total", &[]) > 0.0).await;
    expect(
        &seen,
        &[
            ("holdall_shop_holds_total", &[], 4.0),
            ("holdall_shop_confirms_total", &[], 1.0),
            ("holdall_shop_releases_total", &[], 1.0),
            ("holdall_shop_expiries_total", &[], 1.0),
            ("holdall_ledger_imbalances_total", &[], 0.0),
        ],
    );
}
