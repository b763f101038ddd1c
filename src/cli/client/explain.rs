//! `joulemark results --explain`: describes a metric from the table of metrics. Pure.

use std::fmt::Write as _;

use anyhow::bail;

use joulemark_analysis::metrics::{self, Better, Explanation, explanations};
use joulemark_measurement::quoted;

/// Returns the description of a metric, given its name or its path in a result.
///
/// # Errors
/// Returns an error that lists similar names when there is no such metric.
pub fn explain(field: &str) -> anyhow::Result<String> {
    match metrics::explain(field) {
        Some(explanation) => Ok(text(&explanation)),
        None => bail!("there is no metric {}; {}", quoted(field), known(field)),
    }
}

fn text(explanation: &Explanation) -> String {
    let mut text = format!(
        "{}\n  {}\n",
        explanation.place(),
        explanation.description.replace('\n', " ").replace('`', "")
    );
    let better = match explanation.better {
        Better::Neither => String::new(),
        better => format!(", {} is better", better.as_str()),
    };
    let unit = if explanation.unit.is_empty() {
        "none"
    } else {
        explanation.unit
    };
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<8} {}", value.replace('`', ""));
    };
    if let Some(formula) = &explanation.formula {
        line("formula", formula);
    }
    line("unit", &format!("{unit}{better}"));
    line("source", explanation.source);
    line("limits", explanation.limits);
    text.truncate(text.trim_end().len());
    text
}

/// Lists the metrics that share a word with `field`, or else the headline metrics.
fn known(field: &str) -> String {
    let words: Vec<_> = field.split(['_', '.']).filter(|word| word.len() > 3).collect();
    let names = |wanted: &dyn Fn(&Explanation) -> bool| {
        let found = explanations()
            .into_iter()
            .filter(|found| wanted(found))
            .map(|found| found.place());
        found.collect::<Vec<_>>().join(", ")
    };
    let like = names(&|found| words.iter().any(|word| found.name.contains(word)));
    match like.as_str() {
        "" => format!("examples: {}", names(&|found| found.headline.is_some())),
        like => format!("similar: {like}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_explained_by_name_and_by_path() {
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
    fn the_spread_over_cycles_is_explained_with_its_unit() {
        let text = explain("cycle_sd.mean_ttft_ms").unwrap();
        assert!(
            text.starts_with("cycle_sd.mean_ttft_ms\n") && text.contains("\n  unit     ms"),
            "{text}"
        );
        assert!(text.contains("of inference.mean_ttft_ms"), "{text}");
        assert!(explain("cycle_sd").unwrap().starts_with("cycle_sd\n"));
    }

    #[test]
    fn an_unknown_metric_is_answered_with_similar_ones() {
        let said = explain("energy_total").unwrap_err().to_string();
        assert!(said.contains("similar: ") && said.contains("total_energy_j"), "{said}");
        let said = explain("x").unwrap_err().to_string();
        assert!(
            said.contains("examples: ") && said.contains("output_throughput"),
            "{said}"
        );
    }
}
