use super::choices::Distribution;
use super::field::FieldProblem;
use super::load::Load;
use super::submission::Spec;

/// Returns the problem of a load together with `batch_size`, `num_processes` and `distribution`. `decodes_alone` states
/// that the engine only batches requests that begin together.
pub fn load_problem(load: &Load, spec: &Spec, decodes_alone: bool) -> Option<FieldProblem> {
    let (batch_size, num_processes) = (spec.batch_size, spec.num_processes);
    let replicates = spec.distribution == Distribution::Replicate;
    match load {
        Load::Closed { closed } => {
            let least = batch_size.saturating_mul(num_processes);
            let detail = format!(
                "is {}; accepted is at least batch_size for each rank: {batch_size} for each of {num_processes}",
                closed.concurrency
            );
            (closed.concurrency < least).then(|| FieldProblem::new("/load/closed/concurrency", detail))
        }
        _ if decodes_alone && batch_size > 1 => {
            let detail = format!(
                "is {batch_size} together with load.{}; mistral.rs only batches requests that begin together, and these \
                 arrive one by one: accepted is 1, or an engine that batches continuously",
                load.kind()
            );
            Some(FieldProblem::new("/batch_size", detail))
        }
        Load::Replay { replay } if replay.has_prompts && replicates => Some(FieldProblem::new(
            "/distribution",
            "is replicate, but the replayed file has the prompts, and each of them is sent once; accepted is shard",
        )),
        _ => {
            let requests = load.requests()?;
            let detail = format!(
                "has {requests} requests for {num_processes} ranks; accepted is at least one request for each rank"
            );
            (requests < num_processes).then(|| FieldProblem::new(format!("/load/{}", load.kind()), detail))
        }
    }
}
