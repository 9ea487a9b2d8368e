//! `client-sim compare`: its file has every figure that it promises, and nothing that it started is left behind.

use holdall_harness::{
    child::{PATIENCE, binary},
    server::TempDir,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

/// A comparison whose servers have their directories in this one.
fn compare(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("client-sim"));
    command.arg("compare").arg("--server").arg(binary("holdall")).arg("--work-dir").arg(dir).args(arguments);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Processes that stand in this directory, or in one that was removed from it.
fn standing_in(dir: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").expect("processes can be listed").flatten();
    let stands = |entry: &fs::DirEntry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    processes.filter(stands).map(|entry| entry.path()).collect()
}

fn nothing_is_left(dir: &Path) {
    assert_eq!(fs::read_dir(dir).expect("the directory is there").count(), 0, "files are left in {}", dir.display());
    assert_eq!(standing_in(dir), Vec::<PathBuf>::new(), "processes are left");
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("{name} is no number: {value}"))
}

/// Figures of a load under which everything took effect.
fn in_order(figures: &Value) {
    for name in ["actions_per_s", "server_cpu_us", "server_switches", "p50_us", "p99_us", "p999_us", "load_cpu_us"] {
        assert!(number(figures, name) > 0.0, "{name}: {figures}");
    }
    assert_eq!((&figures["refused"], &figures["late"]), (&Value::from(0), &Value::from(0)), "{figures}");
}

fn row<'f>(found: &'f Value, list: &str, target: &str, load: Option<&str>) -> &'f Value {
    let rows = found[list].as_array().expect("a list");
    let is = |row: &&Value| row["target"] == target && load.is_none_or(|load| row["load"] == load);
    rows.iter().find(is).unwrap_or_else(|| panic!("{list} has no {target} {load:?}: {found}"))
}

#[tokio::test]
async fn every_figure_of_echo_and_of_holdall_is_in_the_file_and_nothing_is_left_running() {
    let (dir, out) = (TempDir::new(), TempDir::new());
    let file = out.path().join("found.json");
    let mut command = compare(dir.path(), &["--targets", "echo,embedded-durable", "--players", "6", "--rounds", "1"]);
    command.args(["--seconds", "0.2", "--json"]).arg(&file);
    let ended = timeout(PATIENCE, command.output()).await.expect("it ends").expect("it runs");
    let table = String::from_utf8(ended.stdout).expect("the table is text");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    nothing_is_left(dir.path());

    let found: Value = serde_json::from_slice(&fs::read(&file).expect("the file is there")).expect("it is JSON");
    for load in ["64x1", "64x8", "open"] {
        for target in ["echo", "embedded-durable"] {
            let row = row(&found, "loads", target, Some(load));
            in_order(&row["typical"]);
            assert_eq!(
                row["rounds"],
                Value::from(vec![row["typical"].clone()]),
                "the median of one round is that round"
            );
            assert!(number(row, "to_echo") > 0.0, "{row}");
        }
    }
    let players = &row(&found, "players", "embedded-durable", None)["typical"];
    assert!(number(players, "login_s") > 0.0 && number(players, "resume_s") > 0.0, "{players}");
    assert_eq!((&players["players"], &players["resumed"]), (&Value::from(6), &Value::from(6)), "{players}");
    assert!(players["rss_bytes_per_player"].is_number(), "{players}");
    let bags = row(&found, "bags", "embedded-durable", None);
    in_order(&bags["typical"]["small"]);
    in_order(&bags["typical"]["large"]);
    assert!(number(bags, "large_to_small") > 0.0, "{bags}");
    let fast = &found["aims"][0];
    assert_eq!(fast["met"], Value::from(number(fast, "measured") >= number(fast, "bound")), "{fast}");
    assert!(table.contains("x echo") && table.contains(fast["name"].as_str().expect("a name")), "{table}");
}

#[tokio::test]
async fn a_comparison_that_is_broken_off_takes_everything_with_it() {
    for signal in [Signal::INT, Signal::TERM] {
        let dir = TempDir::new();
        let long = ["--targets", "embedded-durable", "--loads", "64x1", "--players", "2", "--seconds", "600"];
        let mut comparing = compare(dir.path(), &long).spawn().expect("it runs");
        let begun = Instant::now();
        while standing_in(dir.path()).is_empty() {
            assert!(begun.elapsed() < PATIENCE, "it starts no server");
            sleep(Duration::from_millis(5)).await;
        }
        let pid = comparing.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("it has not ended");
        kill_process(pid, signal).expect("it can be signalled");
        let status = timeout(PATIENCE, comparing.wait()).await.expect("it ends").expect("it can be waited for");
        assert_eq!(status.code(), Some(130), "{signal:?}");
        nothing_is_left(dir.path());
    }
}

#[tokio::test]
async fn without_redis_it_says_what_to_install_and_what_can_be_compared_all_the_same() {
    let dir = TempDir::new();
    let mut command = compare(dir.path(), &["--targets", "redis-durable"]);
    let ended = timeout(PATIENCE, command.env("PATH", dir.path()).output()).await.expect("it ends").expect("it runs");
    let said = String::from_utf8(ended.stderr).expect("it says text");
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("install Redis") && said.contains("--targets echo,embedded-durable"), "{said}");
    nothing_is_left(dir.path());
}
