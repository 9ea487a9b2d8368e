//! The house rules that a compiler does not check, read off the source.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each room of the server and the rooms it may name: the ones below it.
const LAYERS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("clock", &[]),
    ("telemetry", &[]),
    ("catalog", &["config", "clock"]),
    ("engine", &["catalog"]),
    ("schema", &["engine"]),
    ("ledger", &["schema", "engine"]),
    ("store", &["clock"]),
    ("replication", &["engine", "catalog"]),
    ("journal", &["store", "schema", "engine", "clock", "telemetry"]),
    ("roster", &["journal", "store", "replication", "ledger", "schema", "engine", "catalog", "clock", "telemetry"]),
    ("market", &["roster", "store", "engine", "ledger", "catalog", "telemetry"]),
    ("upkeep", &["roster", "journal", "store", "ledger", "schema", "engine", "clock"]),
    ("session", &["market", "roster", "replication", "ledger", "engine", "catalog", "store", "clock", "telemetry"]),
    ("operator", &["upkeep", "roster", "store", "engine", "catalog", "clock", "telemetry"]),
    ("gateway", &["session", "telemetry"]),
    (
        "app",
        &[
            "gateway",
            "operator",
            "session",
            "market",
            "roster",
            "journal",
            "store",
            "schema",
            "engine",
            "catalog",
            "config",
            "clock",
            "telemetry",
        ],
    ),
    ("cli", &["app", "operator", "upkeep", "store", "catalog", "config", "clock", "telemetry"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the workspace").to_owned()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&entry).expect("a source file");
            found.push((entry, text));
        }
    }
    found.sort();
    found
}

/// The rooms that a file names by `crate::room`, also inside braces, tests left out.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut named = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut word = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && (c.is_ascii_alphanumeric() || c == '_') {
                    word.push(c);
                } else if !word.is_empty() {
                    if c == ':' || c == ',' || c.is_whitespace() {
                        named.insert(std::mem::take(&mut word));
                    }
                    word.clear();
                }
            }
        } else {
            named.insert(after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
        }
    }
    named
}

#[test]
fn a_room_names_only_rooms_below_it() {
    let src = root().join("server/src");
    let rooms: Vec<&str> = LAYERS.iter().map(|(room, _)| *room).collect();
    let mut faults = Vec::new();
    for (path, text) in sources(&src) {
        let inside = path.strip_prefix(&src).expect("a file of the server");
        let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        let room = first.trim_end_matches(".rs");
        if matches!(room, "main" | "lib") {
            continue;
        }
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("{}: no such room in the table", inside.display()));
            continue;
        };
        for named in rooms_named(&text) {
            if rooms.contains(&named.as_str()) && named != room && !below.contains(&named.as_str()) {
                faults.push(format!("{}: {room} may not name {named}", inside.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_table_of_rooms_goes_one_way() {
    for (at, (room, below)) in LAYERS.iter().enumerate() {
        for named in *below {
            let position = LAYERS.iter().position(|(name, _)| name == named);
            assert!(position.is_some_and(|position| position < at), "{room} names {named}, which is not below it");
        }
    }
}

#[test]
fn files_stay_readable() {
    let mut faults = Vec::new();
    for krate in ["protocol/src", "server/src", "client-sim/src", "tests"] {
        for (path, text) in sources(&root().join(krate)) {
            let lines = text.lines().count();
            if lines > 600 {
                faults.push(format!("{}: {lines} lines", path.display()));
            }
            if krate != "tests" && !text.starts_with("//!") {
                faults.push(format!("{}: does not say what it owns", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_top_level_holds_what_it_should() {
    let known =
        ["Cargo.toml", "Cargo.lock", "README.md", "LICENSE", "server", "protocol", "client-sim", "tests", "config"];
    let git = std::process::Command::new("git").args(["ls-files"]).current_dir(root()).output().expect("git answers");
    let listed = String::from_utf8(git.stdout).expect("paths are text");
    let tops: BTreeSet<&str> = listed.lines().filter_map(|path| path.split('/').next()).collect();
    let strangers: Vec<_> = tops.iter().filter(|top| !top.starts_with('.') && !known.contains(top)).collect();
    assert!(strangers.is_empty(), "{strangers:?} lie at the top level");
}
