use uuid::Uuid;

use crate::config::Limits;
use crate::http::access::Origin;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::scheduler::is_hub_id;
use crate::synthetic::SYNTHETIC_PREFIX;
use joulemark_experiment::{ExperimentRequest, FieldProblem, Prompts, Spec};
use joulemark_flops::model_files;
use joulemark_store::{NewCallback, Quota};
use joulemark_worker::inference::prompts;

/// What a submission must find room in when it is stored; 0 is no limit.
pub fn quota(limits: &Limits) -> Quota {
    let most = |limit: u64| (limit > 0).then_some(limit);
    Quota {
        queued: most(limits.max_queued),
        unfinished_of_submitter: most(limits.max_unfinished_per_user),
    }
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
pub fn not_on_the_list(state: &AppState, request: &ExperimentRequest) -> Option<FieldProblem> {
    let (access, name) = (&state.access, request.model_name.as_deref()?);
    if name.starts_with(SYNTHETIC_PREFIX) || !is_hub_id(name) || access.allows_from_hub(name) {
        return None;
    }
    if model_files::resolve(state.models.folder(), name).is_ok() {
        return None;
    }
    let list = access.hub_allow.join(", ");
    let detail = format!("is {name:?}, which this server does not fetch from the hub; accepted are {list} (hub_allow)");
    Some(FieldProblem::new("/model_name", detail))
}

/// Whom to call back, if the admin lets him be called at all.
pub async fn callback(state: &AppState, url: Option<String>, origin: &Origin) -> Result<Option<NewCallback>, Problem> {
    let Some(url) = url else { return Ok(None) };
    let refuse = |detail: String| Problem::invalid_experiment(vec![FieldProblem::new("/callback_url", detail)]);
    let Some(allowed) = &state.callbacks else {
        let detail = "is given, and this server calls nobody back; accepted is none (callback_allow is empty)";
        return Err(refuse(detail.to_owned()));
    };
    // It is looked up again for each call: names move.
    allowed
        .admit(&url)
        .await
        .map_err(|refusal| refuse(refusal.to_string()))?;
    Ok(Some(NewCallback {
        delivery_id: Uuid::now_v7(),
        url,
        link_base: origin.link(""),
    }))
}
