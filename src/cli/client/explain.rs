//! `joulemark results --explain`: what a figure is, from the table of metrics. Pure.

use std::fmt::Write as _;

use anyhow::bail;

use joulemark_analysis::metrics::{Better, Metric, all, find_field};

/// Explains a figure by its name or its place in a result.
///
/// # Errors
/// Where there is no such figure; names those that are like it.
pub fn explain(field: &str) -> anyhow::Result<String> {
    match find_field(all(), field) {
        Some(metric) => Ok(text(metric)),
        None => bail!("there is no metric {field:?}; {}", known(field)),
    }
}

fn text(metric: &Metric) -> String {
    let mut text = format!(
        "{}.{}\n  {}\n",
        metric.group.path(),
        metric.name,
        metric.description.replace('\n', " ").replace('`', "")
    );
    let better = match metric.better {
        Better::Neither => String::new(),
        better => format!(", {} is better", better.as_str()),
    };
    let unit = if metric.unit.is_empty() { "none" } else { metric.unit };
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<8} {}", value.replace('`', ""));
    };
    if let Some(formula) = metric.formula {
        line("formula", formula);
    }
    line("unit", &format!("{unit}{better}"));
    line("source", metric.source);
    line("limits", metric.limits);
    text.truncate(text.trim_end().len());
    text
}

/// Names the metrics that share a word with `field`, or else those to look at first.
fn known(field: &str) -> String {
    let words: Vec<_> = field.split(['_', '.']).filter(|word| word.len() > 3).collect();
    let names = |wanted: &dyn Fn(&Metric) -> bool| {
        let found = all().iter().filter(|metric| wanted(metric)).map(|metric| metric.name);
        found.collect::<Vec<_>>().join(", ")
    };
    let like = names(&|metric| words.iter().any(|word| metric.name.contains(word)));
    match like.as_str() {
        "" => format!("some are {}", names(&|metric| metric.headline.is_some())),
        like => format!("like it are {like}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_explained_by_name_and_by_place() {
        let text = explain("output_throughput").unwrap();
        assert_eq!(text, explain("inference.output_throughput").unwrap());
        for part in [
            "inference.output_throughput\n",
            "\n  formula  output_tokens / duration_sec\n",
            "\n  unit     tokens/s, higher is better\n",
            "\n  source   ",
            "\n  limits   ",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_answered_with_what_is_like_it() {
        let said = explain("energy_total").unwrap_err().to_string();
        assert!(
            said.contains("like it are") && said.contains("total_energy_j"),
            "{said}"
        );
        let said = explain("x").unwrap_err().to_string();
        assert!(
            said.contains("some are") && said.contains("output_throughput"),
            "{said}"
        );
    }
}
