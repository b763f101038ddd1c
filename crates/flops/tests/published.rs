//! The table of public models in docs/flops.md, made from the configurations in `src/testdata/published.json`.

use std::fmt::Write as _;
use std::path::Path;

use joulemark_flops::from_config_json;
use serde_json::Value;

/// Heading and introduction of the table, which ends the page.
const INTRODUCTION: &str = "## Parameters of public models

<!-- Made from crates/flops/src/testdata/published.json:
UPDATE_REFERENCE=1 cargo test -p joulemark-flops --test published -->

The published number of parameters in billions, and the number that `joulemark flops` counts from the configuration alone. For
multimodal models this is the text model. Active parameters are those used for one token. A test compares both to the last
published digit.

| model | family | published, 10⁹ | parameters | active |
|---|---|--:|--:|--:|
";

fn table() -> String {
    let rows: Value = serde_json::from_str(include_str!("../src/testdata/published.json")).unwrap();
    let mut table = INTRODUCTION.to_owned();
    for row in rows["models"].as_array().unwrap() {
        let (name, published) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
        let shape = from_config_json(&row[2]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (total, active) = (shape.parameters_total(), shape.parameters_active());
        let digits = published.split_once('.').map_or(0, |(_, digits)| digits.len());
        assert_eq!(format!("{:.digits$}", total as f64 / 1e9), published, "{name}");
        let (family, total, active) = (shape.family(), grouped(total), grouped(active));
        writeln!(table, "| {name} | {family} | {published} | {total} | {active} |").unwrap();
    }
    table
}

/// Returns the digits in groups of three.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn the_documented_table_of_public_models_is_what_is_counted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/flops.md");
    let table = table();
    assert!(table.lines().count() > 100);
    let page = std::fs::read_to_string(&path).unwrap();
    let heading = INTRODUCTION.lines().next().unwrap();
    let start = page.find(heading).expect("the heading of the table");
    let expected = format!("{}{table}", &page[..start]);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, &expected).unwrap();
        return;
    }
    assert!(page == expected, "docs/flops.md differs from the counts: make it anew");
}
