use std::path::Path;

use super::row::{Row, Target};

/// What no single request shows; written by hand.
const BEYOND: &str = include_str!("beyond.md");

const HEAD: &str = "# What hostile requests get\n\n\
    Each row is sent, byte by byte, to a live server by `cargo test --release --test integration hostile -- --nocapture`, which\n\
    prints this table with what came back and fails where that is not what stands here (`WRITE_TABLE=1` writes it).\n\
    A kind of answer is the status and the last word of the problem's `type`; `closed` is a connection that ends without one;\n\
    400 alone is the HTTP library's own. No answer held a key, another's prompt, a file from outside of the models folder, a\n\
    path of the host, or a second answer, and none allowed another origin. After all of them each server answers, nothing is\n\
    held open, no experiment was added but the proper one of row \"kept as they are\", and the log has no key and no panic.\n\n\
    Servers: with keys unless it says otherwise; *open* is one without authentication, *proxied* one that trusts the sender as\n\
    its proxy.\n\n";

/// What cannot be one request: how it is met, and the test of it.
const LASTING: &str = "\n# What lasts\n\n\
    Attacks from within the limits by who may ask: each is made by a test, which sees what others get meanwhile.\n\n\
    | attack | others meanwhile | test (`tests/integration`) |\n|---|---|---|\n\
    | 40 lists of one reader that hang in PostgreSQL | served: a caller has half of the readers' turns, the server's own \
      connections are nobody else's, and the lists end with their clients | `abuse::database::lists_that_hang_…` |\n\
    | a list that PostgreSQL takes too long for | it is ended after `query_timeout_sec` and told so | \
      `abuse::database::a_list_that_takes_…` |\n\
    | 17 or 400 labels, 17 states, 257 fields | 400 before the database sees them | `abuse::database::a_query_has_…` |\n\
    | slow bodies of four readers, more than are answered at a time | served, as are `/healthz` and `/readyz`; the slow \
      ones get 408 | `abuse::places::slow_bodies_…` |\n\
    | bodies of 16 MiB, with a length and without, that never come | a share of one caller | `abuse::places::large_bodies_…` |\n\
    | a list that is asked for and not read | held by its caller's share, then cut off | `abuse::places::an_answer_that_…` |\n\
    | exports that are read slowly by two, where one is made at a time | exported | `abuse::places::exports_that_…` |\n\
    | streams and waits of one reader, where 20 are allowed | 15 are left | `abuse::places::streams_and_waits_…` |\n\
    | connections of one address that say nothing | three quarters are left; a trusted proxy's do not count | \
      `abuse::connections::silent_…`, `…::a_trusted_proxy_…` |\n\
    | 48 callbacks of one submitter to a host that hangs | called at once | `abuse::connections::callbacks_that_hang_…` |\n\
    | `/openapi.json` and `/docs` again and again | compressed once, 304 by tag | `abuse::connections::the_description_…` |\n";

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

/// The second table names tests, which are there.
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

/// The document says what was just seen.
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
