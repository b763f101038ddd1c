//! Documentation generated from the table of metrics: `docs/metrics.md`, and the marked part of `docs/quickstart.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Better, Explanation, all, explanations};

const HEAD: &str = "<!-- Made from the table of metrics in crates/analysis/src/metrics:
UPDATE_REFERENCE=1 cargo test -p joulemark-analysis --lib metrics::reference -->

# Metrics

Every figure of a result. `joulemark results --explain FIELD` and `GET /v1/metrics/FIELD` return the same text, and
`GET /v1/metrics` returns all of it. [methodology.md](methodology.md) explains how an energy and its half-width are
estimated.
";
const BEGIN: &str = "<!-- begin: metrics, made from the table in crates/analysis/src/metrics -->\n";
const END: &str = "<!-- end: metrics -->\n";

fn page() -> String {
    let mut text = HEAD.to_owned();
    let mut group = String::new();
    for explanation in explanations() {
        // The documentation of a whole object starts a section.
        let of = if explanation.group.is_empty() {
            explanation.name
        } else {
            &explanation.group
        };
        if of != group {
            let _ = write!(text, "\n## {of}\n");
            of.clone_into(&mut group);
        }
        text.push_str(&entry(&explanation));
    }
    text
}

fn entry(explanation: &Explanation) -> String {
    let mut text = match explanation.group.as_str() {
        "" => String::new(),
        _ => format!("\n### `{}`\n", explanation.name),
    };
    let _ = write!(text, "\n{}\n\n", explanation.description.replace('\n', " "));
    let better = match explanation.better {
        Better::Neither => String::new(),
        better => format!(", {} is better", better.as_str()),
    };
    let unit = if explanation.unit.is_empty() {
        "none"
    } else {
        explanation.unit
    };
    let _ = writeln!(text, "- unit: {unit}{better}");
    if let Some(formula) = &explanation.formula {
        let _ = writeln!(text, "- formula: {formula}");
    }
    let _ = writeln!(
        text,
        "- source: {}\n- limits: {}",
        explanation.source, explanation.limits
    );
    let spread = format!("cycle_sd.{}", explanation.name);
    if explanation.place() != spread && explanations().iter().any(|other| other.place() == spread) {
        let _ = writeln!(text, "- spread over cycles: `{spread}`");
    }
    text
}

fn headlines() -> String {
    let mut first: Vec<_> = all().iter().filter(|metric| metric.headline.is_some()).collect();
    first.sort_by_key(|metric| metric.headline);
    let rows = first
        .into_iter()
        .map(|metric| format!("| `{}` | {} | {} |\n", metric.name, metric.unit, metric.about));
    format!(
        "{BEGIN}| first | unit | what |\n|---|---|---|\n{}{END}",
        rows.collect::<String>()
    )
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

fn is_current(file: &str, made: impl Fn(&str) -> String) {
    let path = path(file);
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let made = made(&there);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &made).unwrap();
        return;
    }
    assert_eq!(there, made, "{file} differs from the table of metrics");
}

#[test]
fn the_page_of_metrics_is_made_from_the_table() {
    is_current("docs/metrics.md", |_| page());
}

#[test]
fn the_quickstart_s_part_on_metrics_is_made_from_the_table() {
    is_current("docs/quickstart.md", |there| {
        let (before, rest) = there.split_once(BEGIN).expect("the mark of its beginning");
        let (_, after) = rest.split_once(END).expect("the mark of its end");
        format!("{before}{}{after}", headlines())
    });
}
