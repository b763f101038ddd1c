use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::config::Limits;
use crate::experiment::{ExperimentRequest, FieldProblem, Prompts, Spec};
use crate::http::access::{Caller, Origin};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::inference::{SYNTHETIC_PREFIX, prompts};
use crate::model_files;
use crate::scheduler::is_hub_id;
use crate::store::NewCallback;

/// Submissions that were let in and are not stored yet, by their submitter: counted beside what is stored, so that many
/// at once pass no limit, and still share a commit.
#[derive(Debug, Default)]
pub struct UnderWay {
    counting: tokio::sync::Mutex<()>,
    admitted: Mutex<HashMap<Option<String>, u64>>,
}

/// Counts until it is dropped.
#[derive(Debug)]
pub struct Admitted {
    under_way: Arc<UnderWay>,
    name: Option<String>,
}

impl UnderWay {
    fn table(&self) -> MutexGuard<'_, HashMap<Option<String>, u64>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, name: Option<&String>) -> u64 {
        let table = self.table();
        let counted = table.iter().filter(|(of, _)| name.is_none() || of.as_ref() == name);
        counted.map(|(_, count)| count).sum()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut table = self.under_way.table();
        if let Some(count) = table.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                table.remove(&self.name);
            }
        }
    }
}

/// Room for one more experiment, of everybody and of the caller, kept until it is stored.
pub async fn room(state: &AppState, caller: &Caller) -> Result<Admitted, Problem> {
    let (limits, under_way) = (&state.access.limits, &state.submitting);
    let name = caller.actor().name;
    let _counting = under_way.counting.lock().await;
    // What is under way first: what is stored in between counts twice, and not never.
    let of_all = under_way.count(None);
    if limits.max_queued > 0 && of_all + state.store.queue_length().await? >= limits.max_queued {
        return Err(Problem::queue_full(limits.max_queued));
    }
    if let Some(name) = &name
        && limits.max_unfinished_per_user > 0
    {
        let of_caller = under_way.count(Some(name));
        if of_caller + state.store.unfinished_of(name).await? >= limits.max_unfinished_per_user {
            return Err(Problem::quota_used_up(limits.max_unfinished_per_user));
        }
    }
    *under_way.table().entry(name.clone()).or_insert(0) += 1;
    Ok(Admitted {
        under_way: under_way.clone(),
        name,
    })
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
