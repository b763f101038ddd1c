use crate::experiment::{FieldProblem, Prompts, Spec};
use crate::http::access::{Access, Caller};
use crate::http::limits::Limits;
use crate::http::problem::Problem;
use crate::inference::{SYNTHETIC_PREFIX, prompts};
use crate::model_files;
use crate::scheduler::is_hub_id;
use crate::store::Store;

/// Whether there is room for one more experiment, of everybody and of the caller. The answer holds while whoever asked
/// keeps others of this server from submitting.
pub async fn room(store: &Store, limits: &Limits, caller: &Caller) -> Result<(), Problem> {
    if limits.max_queued > 0 && store.queue_length().await? >= limits.max_queued {
        return Err(Problem::queue_full(limits.max_queued));
    }
    if let Some(name) = &caller.actor().name
        && limits.max_unfinished_per_user > 0
        && store.unfinished_of(name).await? >= limits.max_unfinished_per_user
    {
        return Err(Problem::quota_used_up(limits.max_unfinished_per_user));
    }
    Ok(())
}

/// What is more than the admin lets one experiment have.
pub fn oversize(spec: &Spec, limits: &Limits) -> Vec<FieldProblem> {
    let count = spec.prompt_count().unwrap_or(0);
    let mut problems = Vec::new();
    if limits.max_prompts > 0 && count > limits.max_prompts {
        let most = limits.max_prompts;
        let detail = format!("are {count} prompts; accepted on this server are 1 to {most} (max_prompts)");
        problems.push(FieldProblem::new("/prompts", detail));
    }
    let bound = spec.token_bound(dataset_bytes(spec));
    if limits.max_total_tokens > 0 && bound > limits.max_total_tokens {
        let detail = format!(
            "could take {bound} tokens with all prompts, cycles and ranks; accepted on this server are {} \
             (max_total_tokens): fewer prompts or cycles, or a lower max_output_tokens or max_input_tokens",
            limits.max_total_tokens
        );
        problems.push(FieldProblem::new("", detail));
    }
    problems
}

fn dataset_bytes(spec: &Spec) -> u64 {
    let Prompts::Dataset(set) = &spec.prompts else { return 0 };
    let texts = prompts::load(&set.dataset, set.count.map(|count| count as usize)).unwrap_or_default();
    texts.iter().map(|text| text.len() as u64).sum()
}

/// A name that only the hub can answer and that is not on the admin's list. Looks into the models folder.
pub fn not_on_the_list(access: &Access, models_dir: &std::path::Path, name: &str) -> Option<FieldProblem> {
    let is_here = || model_files::resolve(models_dir, name).is_ok();
    if name.starts_with(SYNTHETIC_PREFIX) || !is_hub_id(name) || access.allows_from_hub(name) || is_here() {
        return None;
    }
    let list = access.hub_allow.join(", ");
    let detail = format!("is {name:?}, which this server does not fetch from the hub; accepted are {list} (hub_allow)");
    Some(FieldProblem::new("/model_name", detail))
}
