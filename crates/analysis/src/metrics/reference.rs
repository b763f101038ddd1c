//! The documentation's text about metrics, made from the table: `docs/metrics.md`, and the part of `README.md` between two
//! marks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Beside, Better, Metric, all};

const HEAD: &str = "<!-- Made from the table of metrics in crates/analysis/src/metrics:
UPDATE_REFERENCE=1 cargo test -p joulemark-analysis --lib metrics::reference -->

# Metrics

Every figure of a result. `joulemark results --explain FIELD` and `GET /v1/metrics/FIELD` say the same; `GET /v1/metrics`
has all. How an energy and its half-width are estimated is in [methodology.md](methodology.md).
";
const BEGIN: &str = "<!-- begin: metrics, made from the table in crates/analysis/src/metrics -->\n";
const END: &str = "<!-- end: metrics -->\n";

fn page() -> String {
    let mut text = HEAD.to_owned();
    let mut group = "";
    for metric in all() {
        if metric.group.pointer() != group {
            group = metric.group.pointer();
            let _ = write!(text, "\n## {}\n", metric.group.path());
        }
        text.push_str(&entry(metric));
    }
    text
}

fn entry(metric: &Metric) -> String {
    let mut text = format!(
        "\n### `{}`\n\n{}\n\n",
        metric.name,
        metric.description.replace('\n', " ")
    );
    let better = match metric.better {
        Better::Neither => String::new(),
        better => format!(", {} is better", better.as_str()),
    };
    let unit = if metric.unit.is_empty() { "none" } else { metric.unit };
    let _ = writeln!(text, "- unit: {unit}{better}");
    if let Some(formula) = metric.formula {
        let _ = writeln!(text, "- formula: {formula}");
    }
    let _ = writeln!(text, "- source: {}\n- limits: {}", metric.source, metric.limits);
    if metric.beside.iter().any(|beside| matches!(beside, Beside::Spread)) {
        let _ = writeln!(text, "- spread over cycles: `cycle_sd.{}`", metric.name);
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
    assert_eq!(there, made, "{file} is not what the table of metrics says");
}

#[test]
fn the_page_of_metrics_is_made_from_the_table() {
    is_current("docs/metrics.md", |_| page());
}

#[test]
fn the_readmes_part_on_metrics_is_made_from_the_table() {
    is_current("README.md", |there| {
        let (before, rest) = there.split_once(BEGIN).expect("the mark of its beginning");
        let (_, after) = rest.split_once(END).expect("the mark of its end");
        format!("{before}{}{after}", headlines())
    });
}
