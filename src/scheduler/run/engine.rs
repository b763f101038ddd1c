//! Chooses the program that runs the ranks of an experiment.

use std::path::PathBuf;

use super::failure::Stop;
use crate::engines::MISTRAL;
use crate::scheduler::context::Context;
use crate::scheduler::models::EngineChoice;
use joulemark_experiment::report::EngineBuild;
use joulemark_experiment::{Device, OfferedEngine, Spec};
use joulemark_measurement::{ComputeCapability, LoadReport, Machine};

/// Program that runs the ranks of an experiment.
#[derive(Clone, Debug)]
pub struct EngineProgram {
    pub path: PathBuf,
    /// Arguments before those that every worker gets.
    pub arguments: &'static [&'static str],
    /// Description that the program gives of itself; for a synthetic run, that of mistral.rs on this host.
    offer: Option<OfferedEngine>,
}

impl EngineProgram {
    /// Finds the program for the experiment's GPUs or for the CPU, and gets its description unless that is cached.
    ///
    /// # Errors
    /// Returns [`Stop::Engine`] when the program is missing, does not answer, uses another protocol version, or does
    /// not support all of the GPUs.
    pub async fn find(context: &Context, choice: EngineChoice, spec: &Spec) -> Result<Self, Stop> {
        match choice {
            EngineChoice::Synthetic => Ok(Self {
                path: context.program.clone(),
                arguments: &["worker", "--engine", "synthetic"],
                offer: context.cluster.own().engine(MISTRAL).cloned(),
            }),
            EngineChoice::Served => Ok(Self {
                path: context.program.clone(),
                arguments: &["worker", "--engine", "openai"],
                offer: None,
            }),
            EngineChoice::Mistral => {
                let engines = context.engines.clone();
                let boards = (spec.device == Device::Cuda).then(|| boards(context, spec));
                let found = tokio::task::spawn_blocking(move || match boards {
                    Some(boards) => engines.find_for_gpus(MISTRAL, &boards),
                    None => engines.find(MISTRAL),
                });
                let found = found.await.map_err(|_| {
                    Stop::Server("the server failed while it looked up the engine; see its log".to_owned())
                })??;
                Ok(Self {
                    path: found.program,
                    arguments: &[],
                    offer: Some(found.offer),
                })
            }
        }
    }

    /// Returns the build of the engine as the program or the server describes it.
    pub fn build(&self, spec: &Spec, loads: &[LoadReport]) -> EngineBuild {
        let name = spec.engine.clone();
        if let Some(card) = loads.iter().find_map(|load| load.server.as_ref()) {
            return EngineBuild {
                name,
                version: card.capabilities.server_version.clone(),
                ..EngineBuild::default()
            };
        }
        match &self.offer {
            Some(offer) if offer.name == spec.engine => EngineBuild {
                name,
                version: Some(offer.version.clone()),
                library_version: Some(offer.engine_version.clone()),
                features: offer.features.clone(),
                compiled_cpu_features: offer.compiled_cpu_features.clone(),
                compute_capability: offer.compute_capability,
            },
            // The synthetic engine is part of this program.
            _ => EngineBuild {
                name,
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                ..EngineBuild::default()
            },
        }
    }

    /// Returns the host's description completed with the engine's part.
    pub fn machine(&self, host: &Machine) -> Machine {
        let mut machine = host.clone();
        if let Some(offer) = &self.offer {
            machine.compiled_cpu_features.clone_from(&offer.compiled_cpu_features);
            machine.mistralrs_version.clone_from(&offer.engine_version);
        }
        machine
    }
}

/// Returns the compute capability of each GPU of the experiment; `None` where it is unknown.
fn boards(context: &Context, spec: &Spec) -> Vec<Option<ComputeCapability>> {
    let own = context.cluster.own();
    let capability = |uuid: &String| {
        let gpu = own.host.gpus.iter().find(|gpu| gpu.uuid == *uuid);
        gpu.and_then(|gpu| gpu.compute_capability)
    };
    spec.gpus.iter().map(capability).collect()
}
