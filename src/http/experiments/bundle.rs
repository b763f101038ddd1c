//! `GET /v1/experiments/{id}/bundle`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State as AxumState;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::manifest::Manifest;
use super::timeseries::{self, Found};
use super::view::{hides_texts, shown_failure, shown_report, without_token_ids};
use crate::bundle::{self, MANIFEST, READINGS, REPORT, SUMS};
use crate::http::{access::Caller, extract::IdPath, problem::Problem, repeatable_query::NoQuery, state::AppState};
use joulemark_analysis::{complete_rank_cycle, complete_report};
use joulemark_measurement::RankCycle;

/// Fetch a result with its raw data
///
/// A tar archive with `manifest.json`, `report.json`, `readings.json` (the meter's readings of the host in each cycle),
/// a file for each rank and cycle with its requests and tokens, a file for each device with its samples, and
/// `SHA256SUMS`. `joulemark verify` computes every figure of the result from it again. It contains prompts and tokens
/// if the caller may read them. An incomplete download lacks the end of the archive.
#[utoipa::path(get, path = "/v1/experiments/{id}/bundle", tag = "experiments", operation_id = "getBundle",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    responses(
        (status = 200, description = "The tar, streamed.",
            headers(("Content-Disposition" = String, description = "The file's name.")),
            content((Vec<u8> = "application/x-tar"))),
        (status = 400, description = "The id is not a UUID, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no results; `state` is its present state.", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "Its requests were deleted by this server's retention; the results are kept.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn bundle(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    _: NoQuery,
    caller: Caller,
) -> Result<Response, Problem> {
    let store = state.resources.store.clone();
    let record = super::find(&store, id).await?;
    let Some(mut report) = store.report(id).await? else {
        return Err(Problem::not_completed(record.state, shown_failure(&record, &caller)));
    };
    if let Some(dropped_at) = store.raw_data_dropped_at(id).await? {
        return Err(Problem::requests_dropped(dropped_at));
    }
    complete_report(&mut report);
    let devices = match store.timeseries(id).await? {
        Some(kept) => timeseries::devices(store.clone(), id, Found::Kept(kept)).left_stream(),
        None => stream::empty().right_stream(),
    };
    let withheld = hides_texts(&record.spec, record.submitter.as_deref(), &caller);
    let readings = report.readings.take();
    let report = shown_report(report, &record, &caller);
    let tar = Tar::new(format!("joulemark-{id}"));
    let manifest = Manifest::new(record, report.clone(), &caller);
    let head = [
        tar.file(MANIFEST, &manifest)?,
        tar.file(REPORT, &report)?,
        tar.file(READINGS, &readings)?,
    ];
    let head = stream::iter(head).map(Ok::<_, axum::BoxError>);
    let (of_cycles, of_devices, of_end) = (tar.clone(), tar.clone(), tar);
    let cycles = store.rank_cycles(id).err_into::<axum::BoxError>().map(move |cycle| {
        let cycle = as_shown(cycle?, withheld);
        of_cycles.entry(&bundle::process_name(cycle.cycle, cycle.rank), &cycle)
    });
    let devices = devices
        .err_into::<axum::BoxError>()
        .enumerate()
        .map(move |(place, series)| of_devices.entry(&bundle::device_name(place), &series?));
    let end = stream::once(async move { of_end.end() });
    let whole = head.chain(cycles).chain(devices).chain(end);
    let whole = whole.inspect_err(|error| tracing::error!(%error, "a bundle is incomplete"));
    let mut response = Body::from_stream(whole).into_response();
    let name = format!("attachment; filename=\"joulemark-{id}.tar\"");
    let name = HeaderValue::from_str(&name).map_err(|_| Problem::internal())?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// Returns the measurements of a rank in a cycle, without token ids if they are withheld.
fn as_shown(mut cycle: RankCycle, withheld: bool) -> RankCycle {
    complete_rank_cycle(&mut cycle);
    if withheld {
        cycle.requests = without_token_ids(cycle.requests);
    }
    cycle
}

/// Writer of a tar archive with checksums. Clones share the checksums.
#[derive(Clone)]
struct Tar {
    folder: String,
    sums: Arc<Mutex<String>>,
}

impl Tar {
    fn new(folder: String) -> Self {
        Self {
            folder,
            sums: Arc::default(),
        }
    }

    /// Returns the bytes of a file, or the problem to answer with.
    fn file(&self, name: &str, document: &impl Serialize) -> Result<Bytes, Problem> {
        self.entry(name, document).map_err(|_| Problem::internal())
    }

    /// Returns the bytes of a file that holds a document, and records its checksum.
    fn entry(&self, name: &str, document: &impl Serialize) -> Result<Bytes, axum::BoxError> {
        let mut content = serde_json::to_vec(document)?;
        content.push(b'\n');
        let line = format!("{}  {name}\n", hex::encode(Sha256::digest(&content)));
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
        self.wrapped(name, &content)
    }

    /// Returns the bytes of a file with its header and padding.
    fn wrapped(&self, name: &str, content: &[u8]) -> Result<Bytes, axum::BoxError> {
        let path = format!("{}/{name}", self.folder);
        let size = content.len() as u64;
        let (header, padding) = bundle::entry(&path, size).ok_or("a file is too large for a tar")?;
        let zeros = vec![0; padding];
        Ok([&header[..], content, &zeros].concat().into())
    }

    /// Returns the bytes of the checksums and the end of the archive.
    fn end(&self) -> Result<Bytes, axum::BoxError> {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let last = self.wrapped(SUMS, sums.as_bytes())?;
        Ok([&last[..], &bundle::END].concat().into())
    }
}
