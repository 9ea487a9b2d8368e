//! The page of a run: well formed, complete in itself, and safe to open whatever the run was called.

use holdall_client_sim::{Options, Report, html, require::Requirement, run, scenario::run_watched};
use holdall_harness::server::{Server, TempDir};
use std::time::Duration;

/// Elements that have no end.
const VOID: [&str; 2] = ["meta", "!doctype"];

/// Follows every element from its beginning to its end, outside of the style and the script.
fn expect_well_formed(page: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, behind) = after.split_once('>').expect("a tag has an end");
        assert_eq!(tag.matches('"').count() % 2, 0, "an attribute without an end: <{tag}>");
        rest = behind;
        let name: String = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default().to_lowercase();
        if let Some(ended) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(ended), "</{ended}> ends nothing");
        } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            if ["style", "script"].contains(&name.as_str()) {
                let end = format!("</{name}>");
                rest = rest.split_once(end.as_str()).expect("it has an end").1;
            } else {
                open.push(name);
            }
        }
    }
    assert_eq!(open, Vec::<String>::new(), "left open");
}

/// Nothing is fetched from anywhere.
fn expect_self_contained(page: &str) {
    for fetch in ["src=", "href=", "url(", "@import", "import ", "fetch(", "XMLHttpRequest", "<link", "<iframe", "<img"]
    {
        assert!(!page.contains(fetch), "{fetch} in the page");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "an address in the page");
}

fn expect_a_page(report: &Report) -> String {
    let page = html::page(report);
    expect_well_formed(&page);
    expect_self_contained(&page);
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_becomes_one_page_whatever_happened_in_it() {
    let dir = TempDir::new();
    let server = Server::start(dir.path(), |_| {}).await;
    let url: holdall_client_sim::scenario::Url = format!("ws://{}/ws", server.game).parse().unwrap();
    let options = Options { abusers: 0.2, ..Options::new(url, 10, Duration::from_secs(2)) };
    let mut report = run(options.clone()).await;
    for required in ["p99_us<1", "throughput_per_s>0"] {
        report.requirements.push(required.parse::<Requirement>().unwrap().judge(&report));
    }
    let page = expect_a_page(&report);
    for words in
        ["1 of 2 requirements failed", "Throughput", "Latencies", "Abuses", "Players connected", "health_potion"]
    {
        assert!(page.contains(words), "{words} is missing");
    }
    assert!(page.matches("class=\"hit\"").count() > 20, "moments can be pointed at");
    report.violations_count = 2;
    report.violations = vec!["bot-1: lost <b>& \"all\"</b>".to_owned(), "another".to_owned()];
    report.config.scenario = Some("<script>alert(1)</script>.toml".to_owned());
    report.simulator.bottleneck = vec!["it kept 2.0 of 2 cores busy".to_owned()];
    let page = expect_a_page(&report);
    assert!(page.contains("2 promises broken") && page.contains("lost &lt;b&gt;&amp; &quot;all&quot;"));
    assert!(page.contains("as much as the server’s: it kept 2.0 of 2 cores busy"));
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    // Somebody gave up before anything was played.
    let nothing = run_watched(options, |_| {}, std::future::ready(())).await;
    let page = expect_a_page(&nothing);
    assert!(page.contains("Nothing was measured."), "{nothing}");
    server.stop().await;
}
