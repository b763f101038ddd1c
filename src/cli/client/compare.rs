//! `joulemark compare`: results held against each other. Those of a server are compared there, so that it may look at prompts
//! that it does not show; where there are files among them, here.

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
    /// Ids of experiments, sweeps' points as SWEEP/POINT, and files with results as `joulemark results` prints them; the first is
    /// the baseline.
    #[arg(required = true, num_args = 1.., value_name = "ID|SWEEP/POINT|FILE")]
    results: Vec<Given>,
    /// Metrics to compare, by their names (`GET /v1/metrics`) [default: output_throughput mean_ttft_ms mean_tpot_ms
    /// joules_per_output_token tokens_per_joule].
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = metric)]
    metric: Vec<&'static Metric>,
    /// By so much a figure may differ and be equivalent, as 2% or 0.02.
    #[arg(long, value_name = "PERCENT", default_value = "2%", value_parser = percent::margin)]
    margin: Percent,
    /// Compare also what had other prompts or lengths, or whose energy was metered otherwise; the notes then say so.
    #[arg(long)]
    force: bool,
    /// Exit with 8 where a verdict is worse by more than this, as 2% or 0.02, and where a candidate, or a metric
    /// that --metric names, could not be compared.
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
            anyhow::bail!("there is no result");
        };
        if candidates.is_empty() {
            anyhow::bail!("there is one result; accepted are two and more, the first is the baseline");
        }
        let options = ComparisonOptions {
            margin: self.margin.share(),
            force: self.force,
        };
        Ok(serde_json::to_value(compare(baseline, candidates, &options))?)
    }
}

/// What `--fail-if-worse` lets pass.
struct Gate {
    limit: Percent,
    /// Whether each metric must be tested, because it was asked for by name.
    metrics_are_named: bool,
}

impl Gate {
    /// Returns whether a result is worse by more than the limit, whichever way its metric goes; or was not tested: a candidate
    /// in any metric, or in one that was named.
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
    fn what_is_worse_by_more_than_allowed_fails_and_so_does_nothing() {
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
    fn a_candidate_or_a_named_metric_that_was_not_tested_does_not_pass() {
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
