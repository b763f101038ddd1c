//! Estimates the duration of queued and running experiments, from their own pace or from completed runs of the same
//! model.

use std::sync::Arc;

use super::step::Scheduler;
use joulemark_analysis::{DeviceKind, PastRun, RunShape, duration_by_own_pace, duration_by_past_runs};
use joulemark_experiment::{DurationEstimate, DurationMethod, ExperimentId, Spec, State};
use joulemark_measurement::clock::Monotonic;
use joulemark_store::{ListOrder, ListQuery, StoreError, UnreadRow};

/// Maximum number of completed runs that are read for one model, newest first.
const MAX_READ: u32 = 20;
/// Maximum size in bytes of their documents, whose prompts may be megabytes long.
const MAX_READ_BYTES: usize = 4 << 20;

impl Scheduler {
    /// Estimates the duration of an experiment from start to end; `None` for a finished one.
    pub async fn duration_estimate(&self, id: ExperimentId, state: State, spec: &Spec) -> Option<DurationEstimate> {
        if state.is_finished() {
            return None;
        }
        if let Some(outlook) = self.context().progress.outlook(id, Monotonic::now()) {
            let method = match outlook.by_cycles {
                true => DurationMethod::MeasuredCycles,
                false => DurationMethod::WarmUp,
            };
            return Some(duration_by_own_pace(outlook.elapsed_sec, outlook.left_sec, method));
        }
        Some(match self.past_runs(&spec.model_name).await {
            Ok(runs) => duration_by_past_runs(&RunShape::of(spec), &self.device_kind(spec), &runs),
            Err(error) => {
                tracing::warn!(%error, "the duration is not estimated: the past runs cannot be read");
                DurationEstimate::unknown("the past runs cannot be read now")
            }
        })
    }

    async fn past_runs(&self, model_name: &str) -> Result<Arc<Vec<PastRun>>, StoreError> {
        if let Some(runs) = self.run_cache().get(model_name) {
            return Ok(runs);
        }
        let query = ListQuery {
            order: ListOrder::LastFinishedFirst,
            state: Some(State::Completed),
            model_name: Some(model_name.to_owned()),
            limit: MAX_READ,
            ..ListQuery::default()
        };
        let page = self
            .context()
            .resources
            .store
            .unread_page(&query, MAX_READ_BYTES)
            .await?;
        let run_of = |row: &UnreadRow| {
            let (record, report) = row.read().ok()?;
            PastRun::of(&record.spec, &report?)
        };
        let read = tokio::task::spawn_blocking(move || page.rows.iter().filter_map(run_of).collect::<Vec<_>>());
        let runs = Arc::new(read.await.unwrap_or_default());
        self.run_cache().insert(model_name, runs.clone());
        Ok(runs)
    }

    /// Returns the models of this host's CPU and GPUs; unknown when the experiment must run on another node.
    fn device_kind(&self, spec: &Spec) -> DeviceKind {
        let context = self.context();
        let is_elsewhere = spec.node.as_ref().is_some_and(|node| *node != context.node.name);
        if is_elsewhere || !context.cluster.own().has_labels(&spec.node_labels) {
            return DeviceKind::default();
        }
        DeviceKind {
            cpu_model: context.machine.cpu_model.clone(),
            gpu_names: context.machine.gpu_names.clone(),
        }
    }
}
