use std::path::Path;

use super::row::{Row, Target};

/// Attacks beyond requests; written by hand.
const BEYOND: &str = include_str!("beyond.md");

const HEAD: &str = "# What hostile requests get\n\n\
    Each row is sent byte by byte to a live server by `cargo test --release --test integration hostile -- --nocapture`, which\n\
    prints this table with the answers and fails if they differ from it (`WRITE_TABLE=1` writes it). An answer is given as the\n\
    status and the last word of the problem's `type`. `closed` is a connection that ends without an answer; 400 alone comes from\n\
    the HTTP library.\n\n\
    No answer contained a key, another user's prompt, a file from outside the models folder or a path of the host, none was\n\
    followed by a second answer, and none allowed another origin. After all rows every server answers, holds nothing open, has no\n\
    experiment but the valid one of row \"stored unchanged\", and its log has no key and no panic.\n\n\
    The servers ask for keys, except *open* ones (no authentication) and *proxied* ones (they trust the sender as their proxy).\n\n";

/// Attacks that take more than one request: what others notice meanwhile, and the test.
const LASTING: &str = "\n# Attacks that last\n\n\
    Each is made by a caller within all limits, in a test that checks what other callers get meanwhile.\n\n\
    | attack | other callers | test (`tests/integration`) |\n|---|---|---|\n\
    | 40 lists of one reader that hang in PostgreSQL | are answered: a caller has at most half of the connections for long \
      reads, and the lists end with their clients | `abuse::database::lists_that_hang_…` |\n\
    | a list that PostgreSQL takes too long for | are answered: it is ended after `query_timeout_sec` | \
      `abuse::database::a_list_that_takes_…` |\n\
    | 17 or 400 labels, 17 states, 257 fields | are answered: 400, before the database sees it | \
      `abuse::database::a_query_has_…` |\n\
    | slow bodies of four readers, more than the concurrency limit | are answered, as are `/healthz` and `/readyz`; the slow \
      ones get 408 | `abuse::places::slow_bodies_…` |\n\
    | bodies of 16 MiB, with and without a length, that never come | keep their shares | `abuse::places::large_bodies_…` |\n\
    | a list that is requested and not read | are answered: it counts in its caller's share, then is cut off | \
      `abuse::places::an_answer_that_…` |\n\
    | two callers who read exports slowly, with one export at a time | get their exports | `abuse::places::exports_that_…` |\n\
    | streams and waits of one reader, with 20 allowed | have 15 left | `abuse::places::streams_and_waits_…` |\n\
    | silent connections from one address | have three quarters left; a trusted proxy's connections do not count | \
      `abuse::connections::silent_…`, `…::a_trusted_proxy_…` |\n\
    | 48 callbacks of one submitter to a host that hangs | get their callbacks at once | \
      `abuse::connections::callbacks_that_hang_…` |\n\
    | `/openapi.json` and `/docs` again and again | are answered: compressed once, 304 by tag | \
      `abuse::connections::the_description_…` |\n";

fn written(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| | sent | requests | got |\n|---|---|---|---|\n");
    for (number, row) in rows.iter().enumerate() {
        let to = match row.to {
            Target::Keys => "",
            Target::Open => " (*open*)",
            Target::Proxied => " (*proxied*)",
        };
        let what = row.what.replace('|', "\\|");
        let (count, got) = (row.requests.len(), row.expected.join(" or "));
        text.push_str(&format!("| {} | {what}{to} | {count} | {got} |\n", number + 1));
    }
    let requests: usize = rows.iter().map(|row| row.requests.len()).sum();
    text.push_str(&format!("\n{} rows, {requests} requests.\n", rows.len()));
    text.push_str(LASTING);
    text.push_str(BEYOND);
    text
}

/// Every test that the last table names exists.
#[test]
fn each_test_that_the_second_table_names_is_there() {
    let quoted = BEYOND.split('`').skip(1).step_by(2);
    let named: Vec<&str> = quoted.filter(|name| name.matches('_').count() > 3).collect();
    assert!(named.len() > 5, "{named:?}");
    let sources = crate::architecture::sources();
    for name in named {
        let declared = format!("fn {name}(");
        let is_there = sources.iter().any(|source| source.text.contains(&declared));
        assert!(is_there, "deploy/HOSTILE.md names {name}, which is no test");
    }
}

/// Compares the document with the rows, or writes it.
pub fn compare(rows: &[Row]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/HOSTILE.md");
    let text = written(rows);
    if std::env::var_os("WRITE_TABLE").is_some() {
        std::fs::write(&path, &text).expect("the table is written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "deploy/HOSTILE.md is stale: WRITE_TABLE=1 cargo test --release --test integration hostile"
    );
}
