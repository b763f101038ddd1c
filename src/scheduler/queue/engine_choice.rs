//! Chooses the engine of a submission from the engines of a node. Leaves the check of the model to admission.

use crate::synthetic::SYNTHETIC_PREFIX;
use joulemark_experiment::{
    Capabilities, DEFAULT_ENGINE, ExperimentRequest, FieldProblem, OfferedServer, SYNTHETIC_ENGINE,
};
use joulemark_measurement::quoted;

/// Engine that will run an experiment.
#[derive(Clone, Debug, PartialEq)]
pub enum ChosenEngine {
    Mistral,
    Synthetic,
    Server(OfferedServer),
}

/// Chooses the engine of a submission, and writes its name and arguments into the submission.
///
/// # Errors
/// Returns a problem when the node has no such engine or the engine does not fit the model, and one for each argument
/// that the engine does not accept.
pub fn choose_engine(
    request: &mut ExperimentRequest,
    capabilities: &Capabilities,
) -> Result<ChosenEngine, Vec<FieldProblem>> {
    let asked = request.engine.as_deref();
    let is_synthetic = request
        .model_name
        .as_deref()
        .is_some_and(|name| name.starts_with(SYNTHETIC_PREFIX));
    let chosen = match asked {
        None | Some(DEFAULT_ENGINE | SYNTHETIC_ENGINE) if is_synthetic => ChosenEngine::Synthetic,
        None | Some(DEFAULT_ENGINE) => ChosenEngine::Mistral,
        Some(SYNTHETIC_ENGINE) => {
            let detail = format!(
                "is {}, whose models begin with {SYNTHETIC_PREFIX}; leave it out for another model",
                quoted(SYNTHETIC_ENGINE)
            );
            return Err(vec![FieldProblem::new("/engine", detail)]);
        }
        Some(name) => match capabilities.server(name) {
            Some(server) if !is_synthetic => ChosenEngine::Server(server.clone()),
            Some(_) => {
                let detail = format!(
                    "is {}; a {SYNTHETIC_PREFIX} model is run by {SYNTHETIC_ENGINE}",
                    quoted(name)
                );
                return Err(vec![FieldProblem::new("/engine", detail)]);
            }
            None => return Err(vec![unknown(name, capabilities)]),
        },
    };
    if let ChosenEngine::Server(server) = &chosen
        && !server.managed
        && request.process_per_cycle == Some(true)
    {
        let detail = format!(
            "is true, but {} is a server that is already running; accepted is false, or an engine that is started for \
             each experiment",
            quoted(&server.name)
        );
        return Err(vec![FieldProblem::new("/process_per_cycle", detail)]);
    }
    let arguments = request.engine_arguments.take().unwrap_or_default();
    request.engine_arguments = Some(match &chosen {
        ChosenEngine::Server(server) => server.arguments(&arguments)?,
        _ if arguments.is_empty() => arguments,
        _ => {
            let detail = "has arguments, but the engine accepts none; leave it out";
            return Err(vec![FieldProblem::new("/engine_arguments", detail)]);
        }
    });
    request.engine = Some(match &chosen {
        ChosenEngine::Mistral => DEFAULT_ENGINE.to_owned(),
        ChosenEngine::Synthetic => SYNTHETIC_ENGINE.to_owned(),
        ChosenEngine::Server(server) => server.name.clone(),
    });
    Ok(chosen)
}

fn unknown(name: &str, capabilities: &Capabilities) -> FieldProblem {
    let servers = capabilities.servers.iter().map(|server| server.name.as_str());
    let known = std::iter::once(DEFAULT_ENGINE).chain(servers).collect::<Vec<_>>();
    let detail = format!(
        "is {}, which is not an engine of this server; accepted are {}",
        quoted(name),
        known.join(", ")
    );
    FieldProblem::new("/engine", detail)
}
