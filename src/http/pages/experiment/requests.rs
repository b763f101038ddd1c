//! The section on requests.

use std::collections::BTreeMap;

use askama::Template;
use joulemark_charts::{Gantt, Row, Span, SpanKind, Svg, gantt};

use super::latency::why_none;
use super::raw::{Failed, Raw, RequestTimes};
use crate::number;
use joulemark_experiment::report::{LoadKind, OfferedReport, Report, TimeSpread};
use joulemark_measurement::{BatchVerdict, RequestFailure};

/// Maximum number of rows in the chart, which states how many were left out.
const MAX_ROWS: usize = 400;

/// Requests over time, and the offered load.
#[derive(Template)]
#[template(path = "experiment/requests.html")]
pub struct Requests {
    chart: Option<Svg>,
    /// Why there is no chart; `None` when there is one.
    why_none: Option<String>,
    facts: Vec<(&'static str, String)>,
    /// Number of failed requests by reason.
    failures: Vec<(&'static str, usize)>,
}

impl Requests {
    /// Creates the section from a result; times are seconds since `zero_sec`.
    pub fn new(report: &Report, raw: &Raw, zero_sec: f64) -> Self {
        let mut facts = report.load_report.as_ref().map_or_else(Vec::new, offered);
        facts.extend(batches(report));
        Self {
            chart: (!raw.requests.is_empty()).then(|| chart(raw, zero_sec)),
            why_none: raw.requests.is_empty().then(|| why_none(raw)),
            facts,
            failures: failures(&raw.failed),
        }
    }
}

fn chart(raw: &Raw, zero_sec: f64) -> Svg {
    let ranks = raw.ranks.iter().map(|rank| rank.rank).max().unwrap_or_default();
    let cycles = raw.ranks.iter().map(|rank| rank.cycle).max().unwrap_or_default();
    let label = |cycle: u32, rank: u32, prompt: u32| {
        let cycle = if cycles > 0 {
            format!("c{cycle} ")
        } else {
            String::new()
        };
        let rank = if ranks > 0 { format!("r{rank} ") } else { String::new() };
        format!("{cycle}{rank}#{prompt}")
    };
    let answered = raw.requests.iter().map(|request| {
        let begins = request.due_sec.unwrap_or(request.sent_sec);
        let row = Row {
            label: label(request.cycle, request.rank, request.prompt_index),
            spans: spans(request, zero_sec),
        };
        (begins, row)
    });
    let failed = raw.failed.iter().filter_map(|failed| {
        let row = Row {
            label: label(failed.cycle, failed.rank, failed.request.prompt_index),
            spans: failed_spans(failed, zero_sec),
        };
        Some((
            failed.request.due_monotonic_sec.or(failed.request.sent_monotonic_sec)?,
            row,
        ))
    });
    let mut rows: Vec<(f64, Row)> = answered.chain(failed).collect();
    rows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let drawn = || rows.iter().take(MAX_ROWS).flat_map(|row| &row.spans);
    let from_sec = drawn().map(|span| span.from_sec).fold(f64::INFINITY, f64::min);
    let to_sec = drawn().map(|span| span.to_sec).fold(f64::NEG_INFINITY, f64::max);
    gantt(&Gantt {
        title: "Requests over time".to_owned(),
        description: format!(
            "When each of {} requests was queued, in prefill and in decode, in seconds since the start of the experiment. A row is named by its \
             cycle (c), rank (r) and prompt (#).",
            rows.len()
        ),
        from_sec,
        to_sec,
        rows,
    })
}

fn spans(request: &RequestTimes, zero_sec: f64) -> Vec<Span> {
    let first = request.first_sec.unwrap_or(request.completed_sec);
    let all = [
        (
            request.due_sec.unwrap_or(request.sent_sec),
            request.sent_sec,
            SpanKind::Queued,
            String::new(),
        ),
        (request.sent_sec, first, SpanKind::Prefill, String::new()),
        (
            first,
            request.completed_sec,
            SpanKind::Decode,
            format!("{} tokens", request.output_tokens),
        ),
    ];
    let spans = all.into_iter().filter(|(from, to, _, _)| to > from);
    let spans = spans.map(|(from, to, kind, label)| Span {
        from_sec: from - zero_sec,
        to_sec: to - zero_sec,
        kind,
        label,
    });
    spans.collect()
}

fn failed_spans(failed: &Failed, zero_sec: f64) -> Vec<Span> {
    let request = failed.request;
    let sent = request.sent_monotonic_sec.or(request.due_monotonic_sec);
    let Some(sent) = sent else { return Vec::new() };
    let span = |from: f64, to: f64, kind, label: &str| Span {
        from_sec: from - zero_sec,
        to_sec: to - zero_sec,
        kind,
        label: label.to_owned(),
    };
    let queued = request.due_monotonic_sec.filter(|due| *due < sent);
    let queued = queued.map(|due| span(due, sent, SpanKind::Queued, ""));
    let until = request.ended_monotonic_sec.unwrap_or(sent);
    queued
        .into_iter()
        .chain([span(sent, until, SpanKind::Failed, request.reason.in_words())])
        .collect()
}

fn failures(failed: &[Failed]) -> Vec<(&'static str, usize)> {
    let mut counts: BTreeMap<RequestFailure, usize> = BTreeMap::new();
    for failed in failed {
        *counts.entry(failed.request.reason).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(reason, count)| (reason.in_words(), count))
        .collect()
}

fn offered(offered: &OfferedReport) -> Vec<(&'static str, String)> {
    let kind = match offered.kind {
        LoadKind::Closed => "closed: a request is sent when an earlier one is answered",
        LoadKind::Open => "open: requests are sent at a given rate",
        LoadKind::Replay => "replay: requests are sent at the times in a file",
    };
    let rate = |rate: Option<f64>| rate.map(|rate| format!("{} requests/s", number::plain(rate)));
    let spread = |spread: Option<TimeSpread>| {
        spread.map(|spread| {
            let of = |ms: f64| number::plain(ms);
            format!(
                "p50 {}, p99 {}, maximum {} ms",
                of(spread.p50),
                of(spread.p99),
                of(spread.max)
            )
        })
    };
    let saturated = offered.saturated.map(|saturated| match saturated {
        true => "no, the queue grew throughout".to_owned(),
        false => "yes".to_owned(),
    });
    let all = [
        ("Load", Some(kind.to_owned())),
        (
            "Concurrent requests",
            offered.concurrency.map(|concurrency| concurrency.to_string()),
        ),
        ("Requests sent", Some(offered.requests.to_string())),
        ("Offered rate", rate(offered.offered_per_sec)),
        ("Answered rate", rate(offered.achieved_per_sec)),
        (
            "Answered within the goals",
            offered.good_requests.map(|good| good.to_string()),
        ),
        ("Goodput", rate(offered.goodput)),
        ("Wait in the worker", spread(offered.queueing_ms)),
        ("Time in the engine", spread(offered.service_ms)),
        ("Delay in sending", spread(offered.sender_lag_ms)),
        ("Engine kept up", saturated),
        (
            "Prompts",
            offered
                .prompts_repeated
                .then(|| "some were sent more than once".to_owned()),
        ),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn batches(report: &Report) -> Vec<(&'static str, String)> {
    let steps = report.batch_steps.as_deref().unwrap_or_default();
    let each = steps
        .iter()
        .take(4)
        .map(|of| format!("{} sequences: {} steps", of.sequences, of.steps));
    let checked = report.batch_check.as_ref().map(|check| {
        let verdict = match check.verdict {
            BatchVerdict::Passed => "match those of each sequence alone",
            BatchVerdict::Failed => "differ from those of each sequence alone",
        };
        format!("answers of a batch {verdict}")
    });
    let steps = (!steps.is_empty()).then(|| each.collect::<Vec<_>>().join(", "));
    let all = [("Batched answers", checked), ("Decoding steps", steps)];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: RequestTimes = RequestTimes {
        cycle: 0,
        rank: 0,
        prompt_index: 4,
        output_tokens: 7,
        due_sec: Some(100.0),
        sent_sec: 101.0,
        first_sec: Some(102.5),
        completed_sec: 106.0,
        ttft_ms: Some(2500.0),
        tpot_ms: None,
        e2e_ms: 6000.0,
    };

    #[test]
    fn a_request_is_queued_then_in_prefill_then_in_decode() {
        let found = spans(&REQUEST, 100.0);
        let found: Vec<_> = found
            .iter()
            .map(|span| (span.from_sec, span.to_sec, span.kind))
            .collect();
        assert_eq!(
            found,
            [
                (0.0, 1.0, SpanKind::Queued),
                (1.0, 2.5, SpanKind::Prefill),
                (2.5, 6.0, SpanKind::Decode)
            ]
        );
    }

    #[test]
    fn a_request_without_a_due_time_has_no_queue_and_one_without_a_token_has_no_decode() {
        let silent = RequestTimes {
            due_sec: None,
            first_sec: None,
            ..REQUEST
        };
        let found = spans(&silent, 100.0);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].to_sec), (SpanKind::Prefill, 6.0));
    }
}
