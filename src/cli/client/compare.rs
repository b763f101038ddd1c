//! `joulemark compare`. Results of a server are compared by the server, which may read prompts that it does not show.
//! If a file is among them, they are compared here.

mod percent;
mod read;
mod table;

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::arguments::{OutputArguments, ServerArguments};
use super::{ending::Ending, session, session::Session};
use crate::compared::{default_metrics, metric_named};
use joulemark_analysis::comparison::{ComparisonOptions, compare};
use joulemark_analysis::metrics::Metric;
use percent::Percent;
use read::Given;

#[derive(Debug, Args)]
pub struct CompareArguments {
    /// IDs of experiments, points of sweeps as SWEEP/POINT, or files printed by `joulemark results`; the first is the
    /// baseline.
    #[arg(required = true, num_args = 1.., value_name = "ID|SWEEP/POINT|FILE")]
    results: Vec<Given>,
    /// Metrics to compare, by name (see docs/metrics.md) [default: output_throughput mean_ttft_ms mean_tpot_ms
    /// joules_per_output_token tokens_per_joule].
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = metric)]
    metric: Vec<&'static Metric>,
    /// Largest relative difference that counts as equivalent, e.g. 2% or 0.02.
    #[arg(long, value_name = "PERCENT", default_value = "2%", value_parser = percent::margin)]
    margin: Percent,
    /// Also compare results with different prompts, lengths or energy methods; notes name the differences.
    #[arg(long)]
    force: bool,
    /// Exit with 8 if a metric is worse by more than this, e.g. 2% or 0.02, or if a candidate, or a metric given by
    /// --metric, could not be compared.
    #[arg(long, value_name = "PERCENT", value_parser = percent::limit)]
    fail_if_worse: Option<Percent>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

fn metric(name: &str) -> Result<&'static Metric, String> {
    metric_named(name).map_err(|detail| format!("it {detail}"))
}

pub fn run(arguments: &CompareArguments) -> ExitCode {
    session::run(&arguments.server, Some(&arguments.output), false, async |session| {
        let answer = arguments.answer(session).await?;
        if session.is_json() {
            session.print_value(&answer)?;
        } else {
            let baseline = arguments.results.first().map(Given::to_string).unwrap_or_default();
            session.print(&table::table(&answer, &baseline))?;
        }
        let gate = arguments.fail_if_worse.map(|limit| Gate {
            limit,
            metrics_are_named: !arguments.metric.is_empty(),
        });
        let is_worse = gate.is_some_and(|gate| gate.fails(&answer));
        Ok(if is_worse { Ending::Worse } else { Ending::Done })
    })
}

impl CompareArguments {
    async fn answer(&self, session: &Session) -> anyhow::Result<Value> {
        let metrics = if self.metric.is_empty() {
            default_metrics()
        } else {
            self.metric.clone()
        };
        let ids: Option<Vec<_>> = self.results.iter().map(|given| Some(given.id()?.to_string())).collect();
        if let Some(ids) = ids.filter(|ids| ids.len() > 1) {
            let question = json!({
                "ids": ids,
                "metrics": metrics.iter().map(|metric| metric.name).collect::<Vec<_>>(),
                "margin": self.margin.share(),
                "force": self.force,
            });
            return Ok(session.server.compare(&question).await?.value);
        }
        let subjects = read::subjects(session, &self.results, &metrics).await?;
        let [baseline, candidates @ ..] = &subjects[..] else {
            anyhow::bail!("no result was given");
        };
        if candidates.is_empty() {
            anyhow::bail!("there is one result; give at least two, the first of which is the baseline");
        }
        let options = ComparisonOptions {
            margin: self.margin.share(),
            force: self.force,
        };
        Ok(serde_json::to_value(compare(baseline, candidates, &options))?)
    }
}

/// Condition of `--fail-if-worse`.
struct Gate {
    limit: Percent,
    /// Whether the metrics were given by name; each of them must then be tested.
    metrics_are_named: bool,
}

impl Gate {
    /// Returns whether a metric is worse by more than the limit, or was not tested: a candidate in no metric, or any
    /// metric that was given by name.
    fn fails(&self, answer: &Value) -> bool {
        let items = |name: &str| answer[name].as_array().map_or(&[][..], Vec::as_slice);
        let comparisons = items("comparisons");
        let is_tested = |comparison: &&Value| comparison["p_value"].is_number();
        let is_worse = |comparison: &Value| {
            let by = comparison["ratio"].as_f64().map(|ratio| ratio.ln().abs());
            comparison["verdict"] == "worse" && by.is_none_or(|by| by > self.limit.share().ln_1p())
        };
        let mut all = comparisons.iter().chain(items("not_compared"));
        let is_left_out = |item: &Value| {
            let of_candidate = |tested: &Value| tested["candidate"] == item["candidate"];
            !comparisons.iter().filter(is_tested).any(of_candidate)
        };
        let is_untested = |item: &Value| !item["p_value"].is_number();
        comparisons.iter().any(is_worse)
            || !comparisons.iter().any(|comparison| is_tested(&comparison))
            || all.any(|item| is_left_out(item) || (self.metrics_are_named && is_untested(item)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_worse_than_the_limit_fails_and_so_does_an_empty_comparison() {
        let gate = Gate {
            limit: percent::limit("2%").expect("a percentage"),
            metrics_are_named: false,
        };
        let of = |ratio: f64, verdict: &str, p: Value| json!({"comparisons": [{"ratio": ratio, "verdict": verdict, "p_value": p}]});
        for (answer, expected) in [
            (of(1.03, "worse", json!(0.001)), true),
            (of(0.97, "worse", json!(0.001)), true),
            (of(1.015, "worse", json!(0.001)), false),
            (of(0.5, "better", json!(0.001)), false),
            (of(1.5, "inconclusive", json!(0.4)), false),
            (of(1.5, "inconclusive", json!(null)), true),
            (json!({"comparisons": [], "not_compared": [{}]}), true),
        ] {
            assert_eq!(gate.fails(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn a_candidate_or_a_named_metric_that_was_not_tested_fails() {
        let tested = |candidate: &str| json!({"metric": "mean_ttft_ms", "candidate": candidate, "ratio": 1.0, "verdict": "equivalent", "p_value": 0.5});
        let left_out =
            |candidate: &str| json!({"metric": "tokens_per_joule", "candidate": candidate, "reason": "it is null"});
        for (comparisons, not_compared, by_default, named) in [
            (json!([tested("B"), tested("C")]), json!([]), false, false),
            (json!([tested("B")]), json!([left_out("B")]), false, true),
            (json!([tested("B")]), json!([left_out("C")]), true, true),
        ] {
            let answer = json!({"comparisons": comparisons, "not_compared": not_compared});
            for (metrics_are_named, expected) in [(false, by_default), (true, named)] {
                let limit = percent::limit("2%").expect("a percentage");
                let gate = Gate {
                    limit,
                    metrics_are_named,
                };
                assert_eq!(gate.fails(&answer), expected, "{metrics_are_named} {answer}");
            }
        }
    }
}
