//! The first page: devices, running and queued experiments.

use askama::Template;
use axum::{
    extract::State as AxumState,
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};

use super::devices::{DeviceRow, device_rows};
use super::html::page;
use super::layout::Page;
use super::number;
use crate::http::access::{Caller, accepts_html};
use crate::http::nodes::{Node, listed};
use crate::http::problem::{self, Problem};
use crate::http::state::AppState;
use crate::progress::Progress;
use crate::scheduler::{QueueWait, WaitReason};
use joulemark_experiment::{ExperimentId, Prompts, State};
use joulemark_meter::Finding;
use joulemark_store::{ListOrder, ListQuery, Record};

/// Maximum number of queued experiments shown; the list of experiments has the rest.
const QUEUED_SHOWN: usize = 20;
/// Maximum number of running experiments shown.
const RUNNING_SHOWN: usize = 200;
const FINISHED_SHOWN: u32 = 5;
const MAX_BYTES: usize = 4 << 20;

/// Current state of the service.
#[derive(Template)]
#[template(path = "now.html")]
struct Now {
    page: Page,
    devices: Vec<DeviceRow>,
    /// Energy sources that do not work, with the fix.
    problems: Vec<Finding>,
    running: Vec<RunningRow>,
    queued: Vec<QueuedRow>,
    queued_total: usize,
    finished: Vec<Record>,
    /// All nodes; empty when this server is the only one.
    nodes: Vec<Node>,
    /// Name of the node whose devices are shown.
    node_name: String,
}

impl Now {
    /// Returns the name of a running experiment.
    fn name_of(&self, id: &ExperimentId) -> String {
        let row = self.running.iter().find(|row| row.record.id == *id);
        row.map_or_else(|| id.to_string(), |row| row.record.spec.config_name.clone())
    }
}

/// A running experiment, on any node.
struct RunningRow {
    record: Record,
    /// Progress; `None` on another node.
    progress: Option<Progress>,
    may_cancel: bool,
}

impl RunningRow {
    fn phase(&self) -> String {
        let state = self.record.state.as_str().replace('_', " ");
        match &self.progress {
            Some(Progress {
                cycle: Some(cycle),
                num_cycles,
                ..
            }) => format!("{state}, cycle {} of {num_cycles}", cycle + 1),
            _ => state,
        }
    }

    fn tokens_per_second(&self) -> String {
        let tokens = self.progress.as_ref().and_then(|progress| progress.tokens_per_second);
        tokens.map_or_else(|| "–".to_owned(), number::plain)
    }

    fn power(&self) -> String {
        let power_w = self.progress.as_ref().and_then(|progress| progress.power_w);
        power_w.map_or_else(
            || number::UNKNOWN.to_owned(),
            |power_w| format!("{} W", number::plain(power_w)),
        )
    }

    fn left(&self) -> String {
        let eta_sec = self.progress.as_ref().and_then(|progress| progress.eta_sec);
        eta_sec.map_or_else(|| "–".to_owned(), number::duration)
    }
}

/// A queued experiment.
struct QueuedRow {
    position: u64,
    record: Record,
    /// What it waits for, as a sentence.
    why: String,
    /// Experiments that hold the devices it waits for.
    held_by: Vec<ExperimentId>,
    may_cancel: bool,
}

/// Shows the devices and the running and queued experiments. For a client that asks for JSON the API has no such route.
pub async fn now(
    AxumState(state): AxumState<AppState>,
    uri: Uri,
    headers: HeaderMap,
    caller: Caller,
    shown_in: Page,
) -> Result<Response, Problem> {
    if !wants_page(&headers) {
        return Err(problem::no_such_route(uri).await);
    }
    let findings = state.resources.meter.devices().findings.into_iter();
    let problems = findings.filter(|finding| !finding.works);
    let queue = queued(&state, &caller).await?;
    let nodes = listed(&state).await?;
    let view = Now {
        problems: problems.collect(),
        devices: device_rows(&state).await?,
        running: running(&state, &caller).await?,
        queued: queue.0,
        queued_total: queue.1,
        finished: finished(&state, &caller).await?,
        nodes: if nodes.len() > 1 { nodes } else { Vec::new() },
        node_name: state.scheduler.node().name.clone(),
        page: shown_in,
    };
    page(StatusCode::OK, &view)
}

/// Returns whether to show the page: always, except to clients that ask for JSON and not for HTML.
fn wants_page(headers: &HeaderMap) -> bool {
    let named = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepts_html(headers) || !named.is_some_and(|named| named.contains("json"))
}

async fn running(state: &AppState, caller: &Caller) -> Result<Vec<RunningRow>, Problem> {
    let mut rows = Vec::new();
    let running = state.resources.store.running_by_node().await?;
    for (_, id) in running.into_iter().take(RUNNING_SHOWN) {
        let Some(record) = without_prompts(state, id).await? else {
            continue;
        };
        rows.push(RunningRow {
            progress: state.scheduler.progress(id).filter(|_| !record.state.is_finished()),
            may_cancel: caller.may_change(record.submitter.as_deref()),
            record,
        });
    }
    Ok(rows)
}

/// Returns an experiment without its prompts, which may be megabytes.
async fn without_prompts(state: &AppState, id: ExperimentId) -> Result<Option<Record>, Problem> {
    let mut record = state.resources.store.get(id).await?;
    if let Some(record) = &mut record {
        record.spec.prompts = Prompts::Texts(Vec::new());
        record.spec.prompt_lines = Vec::new();
    }
    Ok(record)
}

/// Returns the first queued experiments in the order in which they would start, and the number of all.
async fn queued(state: &AppState, caller: &Caller) -> Result<(Vec<QueuedRow>, usize), Problem> {
    let (first, total) = state.scheduler.first_waiting(QUEUED_SHOWN).await?;
    let mut rows = Vec::new();
    for (id, position) in first.into_iter().zip(1..) {
        let Some(record) = without_prompts(state, id).await? else {
            continue;
        };
        if record.state != State::Queued {
            continue;
        }
        let standing = state.scheduler.standing(id, &record.spec).await?;
        rows.push(QueuedRow {
            position,
            held_by: holders(&standing.wait),
            why: reason(standing.wait),
            may_cancel: caller.may_change(record.submitter.as_deref()),
            record,
        });
    }
    Ok((rows, total))
}

/// Returns the experiments that hold what is waited for, each once.
fn holders(wait: &QueueWait) -> Vec<ExperimentId> {
    let mut ids: Vec<_> = wait.held_by.iter().filter_map(|holder| holder.experiment_id).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Returns what it waits for. Holders are named by their links, so their IDs are not repeated here.
fn reason(wait: QueueWait) -> String {
    match wait.reason {
        WaitReason::DeviceBusy if !holders(&wait).is_empty() => "devices that are used by".to_owned(),
        WaitReason::HostBusy if !holders(&wait).is_empty() => "the host, which is used by".to_owned(),
        _ => wait.message,
    }
}

async fn finished(state: &AppState, caller: &Caller) -> Result<Vec<Record>, Problem> {
    let query = ListQuery {
        order: ListOrder::LastFinishedFirst,
        limit: FINISHED_SHOWN,
        ..ListQuery::default()
    };
    let store = state.resources.store.on_behalf_of(&caller.held_as());
    Ok(store.list(&query, MAX_BYTES).await?.records)
}
