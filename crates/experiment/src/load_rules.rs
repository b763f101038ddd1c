use super::choices::Distribution;
use super::field::FieldProblem;
use super::load::Load;
use super::submission::Spec;

/// Returns what is wrong of a load beside the batch and the ranks. `decodes_alone` is whether the engine takes one request after
/// the other where they do not begin together.
pub fn load_problem(load: &Load, spec: &Spec, decodes_alone: bool) -> Option<FieldProblem> {
    let (batch_size, num_processes) = (spec.batch_size, spec.num_processes);
    let replicates = spec.distribution == Distribution::Replicate;
    match load {
        Load::Closed { closed } => {
            let least = batch_size.saturating_mul(num_processes);
            let detail = format!(
                "is {}; accepted is at least batch_size for each rank, which is {batch_size} for {num_processes}",
                closed.concurrency
            );
            (closed.concurrency < least).then(|| FieldProblem::new("/load/closed/concurrency", detail))
        }
        _ if decodes_alone && batch_size > 1 => {
            let detail = format!(
                "is {batch_size} beside load.{}; mistral.rs decodes together only what begins together, and these requests \
                 come when they come: accepted is 1, or an engine that batches",
                load.kind()
            );
            Some(FieldProblem::new("/batch_size", detail))
        }
        Load::Replay { replay } if replay.has_prompts && replicates => Some(FieldProblem::new(
            "/distribution",
            "is replicate beside a replay whose file has the prompts, each of which comes once; accepted is shard",
        )),
        _ => {
            let requests = load.requests()?;
            let detail = format!("are {requests} requests for {num_processes} ranks; accepted is at least one a rank");
            (requests < num_processes).then(|| FieldProblem::new(format!("/load/{}", load.kind()), detail))
        }
    }
}
