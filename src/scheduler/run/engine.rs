use std::path::PathBuf;

use super::failure::Stop;
use crate::engines::MISTRAL;
use crate::scheduler::context::Context;
use crate::scheduler::models::EngineChoice;
use joulemark_experiment::report::EngineBuild;
use joulemark_experiment::{Device, OfferedEngine, Spec};
use joulemark_measurement::{ComputeCapability, LoadReport, Machine};

/// The program that runs an experiment's ranks.
#[derive(Clone, Debug)]
pub struct EngineProgram {
    pub path: PathBuf,
    /// What stands before the arguments that every worker gets.
    pub arguments: &'static [&'static str],
    /// What the program says of itself; of a synthetic run, the engine that the host would compute with.
    offer: Option<OfferedEngine>,
}

impl EngineProgram {
    /// Finds the program, that for the experiment's GPUs or that for the CPU, and asks it what it is unless that is known.
    ///
    /// # Errors
    /// [`Stop::Engine`] when it is not there, does not answer, speaks another protocol or fits not all of the GPUs.
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
                    Stop::Server("the server failed while it looked up the engine; its log says more".to_owned())
                })??;
                Ok(Self {
                    path: found.program,
                    arguments: &[],
                    offer: Some(found.offer),
                })
            }
        }
    }

    /// Says what computed: the program in its own words, or the server in those of its card.
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

    /// Completes the host's description with the engine's part of it.
    pub fn machine(&self, host: &Machine) -> Machine {
        let mut machine = host.clone();
        if let Some(offer) = &self.offer {
            machine.compiled_cpu_features.clone_from(&offer.compiled_cpu_features);
            machine.mistralrs_version.clone_from(&offer.engine_version);
        }
        machine
    }
}

/// Returns the compute capabilities of the GPUs that an experiment has.
fn boards(context: &Context, spec: &Spec) -> Vec<Option<ComputeCapability>> {
    let own = context.cluster.own();
    let capability = |uuid: &String| {
        let gpu = own.host.gpus.iter().find(|gpu| gpu.uuid == *uuid);
        gpu.and_then(|gpu| gpu.compute_capability)
    };
    spec.gpus.iter().map(capability).collect()
}
