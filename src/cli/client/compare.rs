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
    /// Exit with 8 where a verdict is worse by more than this, as 2% or 0.02, and where nothing could be compared.
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
        let is_worse = arguments.fail_if_worse.is_some_and(|limit| fails(&answer, limit));
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

/// Returns whether a result is worse by more than the limit, whichever way its metric goes, or nothing was tested.
fn fails(answer: &Value, limit: Percent) -> bool {
    let comparisons = answer["comparisons"].as_array().map_or(&[][..], Vec::as_slice);
    let is_tested = |comparison: &Value| comparison["p_value"].is_number();
    let is_worse = |comparison: &Value| {
        let by = comparison["ratio"].as_f64().map(|ratio| ratio.ln().abs());
        comparison["verdict"] == "worse" && by.is_none_or(|by| by > limit.share().ln_1p())
    };
    !comparisons.iter().any(is_tested) || comparisons.iter().any(is_worse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worse_by_more_than_allowed_fails_and_so_does_nothing() {
        let of = |ratio: f64, verdict: &str, p: Value| json!({"comparisons": [{"ratio": ratio, "verdict": verdict, "p_value": p}]});
        let limit = percent::limit("2%").expect("a percentage");
        for (answer, expected) in [
            (of(1.03, "worse", json!(0.001)), true),
            (of(0.97, "worse", json!(0.001)), true),
            (of(1.015, "worse", json!(0.001)), false),
            (of(0.5, "better", json!(0.001)), false),
            (of(1.5, "inconclusive", json!(0.4)), false),
            (of(1.5, "inconclusive", json!(null)), true),
            (json!({"comparisons": [], "not_compared": [{}]}), true),
        ] {
            assert_eq!(fails(&answer, limit), expected, "{answer}");
        }
    }
}
