//! The written reference names everything that the protocol has, with the words of the code.

use holdall_protocol::{action::Action, close::Close, code::Code, frame::DEPTH_MAX, frame::Subprotocol};
use std::path::Path;

fn reference() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/README.md");
    std::fs::read_to_string(file).expect("the reference")
}

/// The rows of the table under a heading: cells without spaces and backticks around them, the head left out.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, under) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let lines = under.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.skip(2).map(cells).collect()
}

/// Compares with the table and, where they differ, prints the table that should be there.
fn assert_table(heading: &str, head: &str, expected: &[Vec<String>]) {
    let lines: Vec<String> = expected.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    assert!(
        table(&reference(), heading) == expected,
        "under {heading:?} should stand:\n\n{head}\n{}\n",
        lines.join("\n")
    );
}

#[test]
fn it_lists_every_refusal_code() {
    let rows: Vec<Vec<String>> = Code::ALL
        .iter()
        .map(|code| {
            let (number, name) = (code.number().to_string(), format!("`{code}`"));
            vec![number, name, code.meaning().to_owned(), code.retry().as_str().to_owned()]
        })
        .collect();
    assert_table("## Refusal codes", "| number | code | meaning | again? |\n|---|---|---|---|", &rows);
}

#[test]
fn it_lists_every_close_code() {
    let rows: Vec<Vec<String>> = Close::ALL
        .iter()
        .map(|close| {
            let reconnect = if close.reconnect() { "yes, with backoff" } else { "no" };
            let (number, name) = (close.number().to_string(), format!("`{close}`"));
            vec![number, name, reconnect.to_owned(), close.meaning().to_owned()]
        })
        .collect();
    assert_table("## Close codes", "| code | name | reconnect? | meaning |\n|---|---|---|---|", &rows);
}

#[test]
fn it_lists_every_action_with_an_example_that_can_be_read() {
    let text = reference();
    let rows = table(&text, "## Actions");
    let names: Vec<String> = rows.iter().filter_map(|row| row.first().map(|name| name.replace('`', ""))).collect();
    assert_eq!(names, Action::NAMES, "the table under ## Actions, in the order of the code");
    for row in &rows {
        let example = row.get(1).expect("an example").trim_matches('`').replace("\\|", "|");
        let frame = format!("{{\"seq\": 1, \"action\": {example}}}");
        let read = Subprotocol::Json.decode_client(frame.as_bytes());
        let read = read.unwrap_or_else(|error| panic!("{frame}: {error}"));
        let asked = match read {
            holdall_protocol::message::ClientMessage::Request(request) => request.action,
            holdall_protocol::message::ClientMessage::Hello(_) => panic!("{frame} is a hello"),
        };
        let holdall_protocol::action::Asked::Known(action) = asked else { panic!("{frame} is of no known action") };
        assert_eq!(Some(&format!("`{}`", action.name())), row.first(), "{frame}");
    }
}

#[test]
fn every_code_that_an_action_may_be_refused_with_exists() {
    for row in table(&reference(), "## Actions") {
        for name in row.last().expect("refusals").split('`').skip(1).step_by(2) {
            assert!(Code::ALL.iter().any(|code| code.as_str() == name), "no refusal code {name}");
        }
    }
}

#[test]
fn every_message_in_it_can_be_read() {
    let text = reference();
    let mut count = 0;
    for block in text.split("```json\n").skip(1) {
        let block = block.split("```").next().expect("a block ends");
        // One message a paragraph.
        for message in block.split("\n\n").filter(|message| !message.trim().is_empty()) {
            let client = Subprotocol::Json.decode_client(message.as_bytes()).map(drop);
            let server = Subprotocol::Json.decode_server(message.as_bytes()).map(drop);
            assert!(client.is_ok() || server.is_ok(), "{message}\n{client:?}\n{server:?}");
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} messages found");
}

#[test]
fn its_constants_are_those_of_the_code() {
    let text = reference();
    assert!(text.contains(&format!("at most {DEPTH_MAX} levels")), "the depth of a frame, {DEPTH_MAX}");
    for subprotocol in Subprotocol::ALL {
        assert!(text.contains(&format!("`{}`", subprotocol.as_str())), "{}", subprotocol.as_str());
    }
}

#[test]
fn the_readme_names_only_knobs_that_exist() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(file).expect("the readme");
    let manual = holdall_server::config::manual();
    let is_knob = |name: &str| manual.contains(&format!("\n{name} = ")) || manual.contains(&format!("\n# {name} = "));
    for row in table(&text, "## Limits") {
        for name in row.first().expect("knobs").split('`').skip(1).step_by(2) {
            assert!(is_knob(name), "no knob {name}");
        }
    }
    let sections = ["server", "auth", "catalog", "inventory", "equipment", "store", "limits", "log"];
    for word in text.split('`').skip(1).step_by(2) {
        let path = word.split_whitespace().next().unwrap_or_default();
        if let Some((section, name)) = path.split_once('.')
            && sections.contains(&section)
            && !["toml", "redb"].contains(&name)
        {
            assert!(is_knob(name), "no knob {path}");
        }
    }
}
