//! Checks submissions: whether a live node can run them, and whether they are within the limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::engine_choice::{ChosenEngine, choose_engine};
use super::prompt_source::{lacks_prompt_file, without_lines_of_file};
use crate::engines::attached::refused_model;
use crate::engines::{EngineProblem, MISTRAL};
use crate::scheduler::context::Limits;
use crate::scheduler::models::{LocatedModel, ModelRefusal, ModelSources, is_hub_id};
use crate::scheduler::step::Scheduler;
use crate::synthetic::SYNTHETIC_PREFIX;
use joulemark_experiment::{
    Capabilities, ExperimentRequest, FieldProblem, GpuSelector, Model, OfferedServer, Prompts, Spec, Warning, resolve,
};
use joulemark_measurement::quoted;
use joulemark_store::StoreError;
use joulemark_worker::inference::prompts;

/// Result of checking a submission against one node.
type Verdict = Result<(Spec, Vec<Warning>), Vec<FieldProblem>>;

impl Scheduler {
    /// Checks a submission against the list of models that may come from the hub, the capabilities of the live nodes,
    /// and the size limits for one experiment, in this order.
    ///
    /// # Errors
    /// Returns every problem that the first failing check finds, each with what is accepted.
    pub async fn admit(&self, mut request: ExperimentRequest) -> Verdict {
        let (models, name) = (self.context().resources.models.clone(), request.model_name.clone());
        let refused = tokio::task::spawn_blocking(move || models.refused_from_hub(name.as_deref()?)).await;
        if let Ok(Some(refused)) = refused {
            return Err(vec![refused]);
        }
        self.refuse_slices(&request).await?;
        let has_file =
            request.prompt_source.is_some() || request.load.as_ref().is_some_and(|load| load.replay().is_some());
        let _turn = match has_file {
            true => Some(self.context().prompts.turn().await),
            false => None,
        };
        self.read_replay(&mut request).await?;
        self.read_prompt_source(&mut request).await?;
        let (spec, warnings) = self.admit_by_nodes(request).await?;
        match oversize(&spec, &self.context().limits) {
            problems if problems.is_empty() => Ok((without_lines_of_file(spec), warnings)),
            problems => Err(problems),
        }
    }

    /// Checks that no requested GPU is a MIG slice, whose energy cannot be metered.
    ///
    /// # Errors
    /// Returns a problem for each slice, with the GPU to name instead.
    async fn refuse_slices(&self, request: &ExperimentRequest) -> Result<(), Vec<FieldProblem>> {
        let (meter, gpus) = (
            self.context().resources.meter.clone(),
            request.gpus.clone().unwrap_or_default(),
        );
        let refused = move || {
            let problem = |(position, selector): (usize, &GpuSelector)| match selector {
                GpuSelector::Index(_) => None,
                GpuSelector::Uuid(uuid) => {
                    let why = meter.refused_slice(uuid)?;
                    Some(FieldProblem::new(
                        format!("/gpus/{position}"),
                        format!("is {uuid}, which {why}", uuid = quoted(&uuid)),
                    ))
                }
            };
            gpus.iter().enumerate().filter_map(problem).collect::<Vec<_>>()
        };
        match tokio::task::spawn_blocking(refused).await {
            Ok(problems) if !problems.is_empty() => Err(problems),
            _ => Ok(()),
        }
    }

    /// Checks a submission against this node and, when this node cannot run it, against each other live node. A
    /// submission is rejected only when no live node can ever run it.
    ///
    /// # Errors
    /// Returns every problem with what is accepted; the problems of one node when only that node may run the
    /// submission.
    async fn admit_by_nodes(&self, request: ExperimentRequest) -> Verdict {
        let own = self.admit_here(request.clone()).await;
        if own.as_ref().is_some_and(Result::is_ok) {
            return own.unwrap_or(Err(Vec::new()));
        }
        // A suitable node may have joined a moment ago.
        if let Err(error) = self.look_for_nodes().await {
            tracing::warn!(%error, "the list of nodes cannot be read; using the last one that was read");
        }
        let mut verdicts = own
            .map(|own| (self.context().node.name.clone(), own))
            .into_iter()
            .collect::<Vec<_>>();
        for node in self.context().cluster.others().iter() {
            if is_pinned_elsewhere(&request, &node.name, &node.capabilities) {
                continue;
            }
            let verdict = admit_by_capabilities(request.clone(), &node.capabilities);
            if verdict.is_ok() {
                return verdict;
            }
            verdicts.push((node.name.clone(), verdict));
        }
        Err(match verdicts.len() {
            0 => vec![self.no_such_node(&request)],
            1 => verdicts.remove(0).1.err().unwrap_or_default(),
            _ => all_problems(verdicts),
        })
    }

    /// Checks a submission against this node; returns `None` when the submission asks for another node.
    async fn admit_here(&self, request: ExperimentRequest) -> Option<Verdict> {
        let context = self.context();
        if is_pinned_elsewhere(&request, &context.node.name, &context.cluster.own()) {
            return None;
        }
        let own = context.cluster.own();
        let mut request = request;
        let chosen = choose_engine(&mut request, &own);
        let engine_refusal = match chosen {
            Ok(ChosenEngine::Mistral) => self.look_for_engines().await.map(|problem| problem.for_clients()),
            Ok(ChosenEngine::Server(ref server)) => self.refused_by_server(server, &request).await,
            _ => None,
        };
        let (facts, refusal, warning) = match self.locate(&request, chosen.as_ref().ok()).await {
            Some(Ok(located)) => (Some(located.facts()), None, located.warning()),
            Some(Err(refusal)) => (None, Some(refusal.to_string()), None),
            None => (None, Some("cannot be looked up; see the server's log".to_owned()), None),
        };
        let problems = chosen.err().unwrap_or_default();
        let refusal = refusal.or(engine_refusal);
        Some(verdict(request, &own, facts.as_ref(), (problems, refusal), warning))
    }

    /// Asks a server that is already running whether it serves the submission's model. Returns the reason when it does
    /// not.
    async fn refused_by_server(&self, server: &OfferedServer, request: &ExperimentRequest) -> Option<String> {
        let settings = self
            .context()
            .servers
            .get(&server.name)
            .filter(|settings| !settings.is_managed())?;
        refused_model(settings, request.model_name.as_deref()?).await
    }

    /// Finds the model of a submission for the chosen engine; `None` when the search panicked.
    async fn locate(
        &self,
        request: &ExperimentRequest,
        chosen: Option<&ChosenEngine>,
    ) -> Option<Result<Arc<LocatedModel>, ModelRefusal>> {
        let context = self.context();
        let models = context.resources.models.clone();
        let name = request.model_name.clone().unwrap_or_default();
        let server = match chosen {
            Some(ChosenEngine::Server(server)) => context.servers.get(&server.name).cloned(),
            _ => None,
        };
        let locating = move || models.locate_for(server.as_ref(), &name);
        let located = tokio::task::spawn_blocking(locating).await;
        located
            .inspect_err(|error| tracing::error!(%error, "a model cannot be looked up"))
            .ok()
    }

    /// Looks for this node's engines again, so that a newly installed one is offered. Returns the problem that prevents
    /// the mistral.rs engine from being started.
    pub(in crate::scheduler) async fn look_for_engines(&self) -> Option<EngineProblem> {
        let context = self.context();
        let engines = context.engines.clone();
        let looked = tokio::task::spawn_blocking(move || (engines.find(MISTRAL).err(), engines.look())).await;
        let (problem, look) = looked.ok()?;
        let problems = look.problems.iter().map(EngineProblem::for_clients).collect();
        if context.cluster.set_engines(look.offered, problems, problem.clone())
            && let Some(problem) = &problem
        {
            tracing::warn!("{problem}");
        }
        problem
    }

    async fn look_for_nodes(&self) -> Result<(), StoreError> {
        let context = self.context();
        if context.resources.store.is_shared() {
            let nodes = context.resources.store.nodes().await?;
            context.cluster.set_nodes(nodes, &context.node.name);
        }
        Ok(())
    }

    fn no_such_node(&self, request: &ExperimentRequest) -> FieldProblem {
        let context = self.context();
        let others = context.cluster.others();
        let (own_name, own) = (context.node.name.as_str(), context.cluster.own());
        let live = std::iter::once((own_name, &*own))
            .chain(others.iter().map(|node| (node.name.as_str(), &node.capabilities)));
        match (&request.node, &request.node_labels) {
            (Some(node), _) if !live.clone().any(|(name, _)| name == node) => {
                let names = live.map(|(name, _)| name).collect::<Vec<_>>().join(", ");
                FieldProblem::new(
                    "/node",
                    format!("is {node}; live nodes are {names}", node = quoted(&node)),
                )
            }
            _ => {
                let shown = live.map(|(name, capabilities)| format!("{name} ({})", shown(&capabilities.labels)));
                let there = shown.collect::<Vec<_>>().join(", ");
                FieldProblem::new(
                    "/node_labels",
                    format!("are on no live node, or not on the one that node names; live nodes are {there}"),
                )
            }
        }
    }
}

fn shown(labels: &BTreeMap<String, String>) -> String {
    match labels.is_empty() {
        true => "no labels".to_owned(),
        false => labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn is_pinned_elsewhere(request: &ExperimentRequest, name: &str, capabilities: &Capabilities) -> bool {
    request.node.as_ref().is_some_and(|node| node != name)
        || request
            .node_labels
            .as_ref()
            .is_some_and(|labels| !capabilities.has_labels(labels))
}

/// Checks a submission against another node by the capabilities that it published: it has a model of exactly this name,
/// or may use the hub or the synthetic engine.
fn admit_by_capabilities(mut request: ExperimentRequest, capabilities: &Capabilities) -> Verdict {
    let chosen = choose_engine(&mut request, capabilities);
    let name = request.model_name.clone().unwrap_or_default();
    let engine_refusal = match chosen {
        Ok(ChosenEngine::Mistral) if capabilities.engine(MISTRAL).is_none() => Some(format!(
            "needs the engine {MISTRAL:?}, and this node has none that it can start"
        )),
        _ => None,
    };
    let (facts, refusal, warning) = match &chosen {
        Ok(ChosenEngine::Server(server)) => match facts_for_server(server, &name, capabilities) {
            Ok(facts) => (Some(facts), None, None),
            Err(refusal) => (None, Some(refusal.to_string()), None),
        },
        _ => match facts_by_name(&name, capabilities) {
            Ok((facts, warning)) => (Some(facts), None, warning),
            Err(refusal) => (None, Some(refusal.to_string()), None),
        },
    };
    let problems = chosen.err().unwrap_or_default();
    let refusal = refusal.or(engine_refusal);
    verdict(request, capabilities, facts.as_ref(), (problems, refusal), warning)
}

/// Returns the facts about a model that a server of another node is to run.
fn facts_for_server(server: &OfferedServer, name: &str, capabilities: &Capabilities) -> Result<Model, ModelRefusal> {
    let of_folder = capabilities.model(name).map(|model| model.facts.clone());
    if server.managed && server.model_name.is_none() && of_folder.is_none() {
        return Err(not_there(name, capabilities));
    }
    Ok(Model {
        is_gguf: false,
        max_context_tokens: of_folder.and_then(|facts| facts.max_context_tokens),
        has_chat_template: true,
        is_pretended: false,
        is_served: true,
    })
}

fn facts_by_name(name: &str, capabilities: &Capabilities) -> Result<(Model, Option<Warning>), ModelRefusal> {
    if name.starts_with(SYNTHETIC_PREFIX)
        || (capabilities.allow_hub && capabilities.model(name).is_none() && is_hub_id(name))
    {
        // No file is read: the same rules as here, with the other node's permissions.
        let its_sources = ModelSources {
            folder: "/nonexistent".into(),
            allow_hub: capabilities.allow_hub,
            hub_allow: Vec::new(),
            allow_synthetic: capabilities.allow_synthetic_engine,
        };
        return its_sources
            .locate(name)
            .map(|located| (located.facts(), located.warning()));
    }
    let facts = capabilities.model(name).map(|model| (model.facts.clone(), None));
    facts.ok_or_else(|| not_there(name, capabilities))
}

fn not_there(name: &str, capabilities: &Capabilities) -> ModelRefusal {
    let there = capabilities
        .models
        .iter()
        .map(|model| model.name.as_str())
        .collect::<Vec<_>>();
    ModelRefusal::Unknown {
        name: name.to_owned(),
        reason: String::new(),
        there: if there.is_empty() {
            "no model".to_owned()
        } else {
            there.join(", ")
        },
    }
}

fn verdict(
    request: ExperimentRequest,
    capabilities: &Capabilities,
    facts: Option<&Model>,
    (problems, refusal): (Vec<FieldProblem>, Option<String>),
    warning: Option<Warning>,
) -> Verdict {
    let mut problems = problems
        .into_iter()
        .chain(refusal.map(|refusal| FieldProblem::new("/model_name", refusal)))
        .chain(lacks_prompt_file(&request, capabilities))
        .collect::<Vec<_>>();
    match resolve(request, &capabilities.host, facts) {
        Ok((spec, mut warnings)) if problems.is_empty() => {
            warnings.extend(warning);
            Ok((spec, warnings))
        }
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// Merges equal problems of several nodes, and names the nodes when not all have the problem.
fn all_problems(verdicts: Vec<(String, Verdict)>) -> Vec<FieldProblem> {
    let mut nodes_of: Vec<(FieldProblem, Vec<String>)> = Vec::new();
    let count = verdicts.len();
    for (node, verdict) in verdicts {
        for problem in verdict.err().unwrap_or_default() {
            match nodes_of.iter_mut().find(|(known, _)| *known == problem) {
                Some((_, nodes)) => nodes.push(node.clone()),
                None => nodes_of.push((problem, vec![node.clone()])),
            }
        }
    }
    let with_nodes = nodes_of.into_iter().map(|(mut problem, nodes)| {
        if nodes.len() < count {
            problem.detail = format!("{} (node {})", problem.detail, nodes.join(", "));
        }
        problem
    });
    with_nodes.collect()
}

/// Lists how a submission exceeds the size limits for one experiment.
fn oversize(spec: &Spec, limits: &Limits) -> Vec<FieldProblem> {
    let count = spec.prompt_count().unwrap_or(0);
    let mut problems = Vec::new();
    if limits.max_prompts > 0 && count > limits.max_prompts {
        let most = limits.max_prompts;
        let detail = format!("are {count} prompts; accepted on this server are 1 to {most} (max_prompts)");
        problems.push(FieldProblem::new(spec.prompts_pointer(), detail));
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
