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

/// Of the queue; the list of experiments has the rest.
const QUEUED_SHOWN: usize = 20;
/// More devices than a lab has.
const RUNNING_SHOWN: usize = 200;
const FINISHED_SHOWN: u32 = 5;
const MAX_BYTES: usize = 4 << 20;

/// What the host does at this moment.
#[derive(Template)]
#[template(path = "now.html")]
struct Now {
    page: Page,
    devices: Vec<DeviceRow>,
    /// Sources of energy that do not work, and the fix.
    problems: Vec<Finding>,
    running: Vec<RunningRow>,
    queued: Vec<QueuedRow>,
    queued_in_all: usize,
    finished: Vec<Record>,
    /// Empty where this server is the only one.
    nodes: Vec<Node>,
    /// The node whose devices are shown.
    node_name: String,
}

impl Now {
    /// Returns what an experiment that runs is called.
    fn name_of(&self, id: &ExperimentId) -> String {
        let row = self.running.iter().find(|row| row.record.id == *id);
        row.map_or_else(|| id.to_string(), |row| row.record.spec.config_name.clone())
    }
}

/// An experiment that runs, on whichever node.
struct RunningRow {
    record: Record,
    /// `None` of another node's.
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

/// An experiment that waits.
struct QueuedRow {
    position: u64,
    record: Record,
    /// For what it waits, in a sentence.
    why: String,
    /// Who has the devices that it waits for.
    held_by: Vec<ExperimentId>,
    may_cancel: bool,
}

/// Shows the devices, what runs, what waits and why. Who asks for JSON is told where the API is.
pub async fn now(
    AxumState(state): AxumState<AppState>,
    uri: Uri,
    headers: HeaderMap,
    caller: Caller,
    shown_in: Page,
) -> Result<Response, Problem> {
    if !is_for_people(&headers) {
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
        queued_in_all: queue.1,
        finished: finished(&state, &caller).await?,
        nodes: if nodes.len() > 1 { nodes } else { Vec::new() },
        node_name: state.scheduler.node().name.clone(),
        page: shown_in,
    };
    page(StatusCode::OK, &view)
}

/// The API has nothing at the root: only who names JSON, and not HTML, is told so.
fn is_for_people(headers: &HeaderMap) -> bool {
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

/// Returns an experiment without its prompts, which may be megabytes and of which a list shows nothing.
async fn without_prompts(state: &AppState, id: ExperimentId) -> Result<Option<Record>, Problem> {
    let mut record = state.resources.store.get(id).await?;
    if let Some(record) = &mut record {
        record.spec.prompts = Prompts::Texts(Vec::new());
        record.spec.prompt_lines = Vec::new();
    }
    Ok(record)
}

/// Returns the first that wait, in the order in which they would start, and how many wait in all.
async fn queued(state: &AppState, caller: &Caller) -> Result<(Vec<QueuedRow>, usize), Problem> {
    let (first, in_all) = state.scheduler.first_waiting(QUEUED_SHOWN).await?;
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
            why: in_words(standing.wait),
            may_cancel: caller.may_change(record.submitter.as_deref()),
            record,
        });
    }
    Ok((rows, in_all))
}

/// Returns each holder once.
fn holders(wait: &QueueWait) -> Vec<ExperimentId> {
    let mut ids: Vec<_> = wait.held_by.iter().filter_map(|holder| holder.experiment_id).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Returns why it waits; holders have links of their own, and their ids and UUIDs are not spelled out again.
fn in_words(wait: QueueWait) -> String {
    match wait.reason {
        WaitReason::DeviceBusy if !holders(&wait).is_empty() => "its devices, which are held by".to_owned(),
        WaitReason::HostBusy if !holders(&wait).is_empty() => "its host, which is held by".to_owned(),
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
