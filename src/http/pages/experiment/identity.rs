//! The section that identifies an experiment.

use askama::Template;

use crate::http::experiments::view::Experiment;
use crate::number;
use joulemark_experiment::{Device, ExperimentId, Failure};

/// Names, owner and times of an experiment.
#[derive(Template)]
#[template(path = "experiment/identity.html")]
pub struct Identity {
    facts: Vec<(&'static str, String)>,
    labels: Vec<(String, String)>,
    failure: Option<Failure>,
}

impl Identity {
    /// Creates the section from an experiment.
    pub fn of(experiment: &Experiment, sweep: Option<ExperimentId>) -> Self {
        let spec = &experiment.spec;
        let all = [
            ("ID", Some(experiment.id.to_string())),
            ("Model", Some(spec.model_name.clone())),
            ("Engine", Some(spec.engine.clone())),
            ("Device", Some(device(experiment))),
            ("User", spec.user.clone()),
            ("Submitted by", experiment.submitter.clone()),
            ("Submitted", Some(number::time(&experiment.created_at))),
            ("Started", experiment.started_at.as_ref().map(number::time)),
            ("Finished", experiment.finished_at.as_ref().map(number::time)),
            (
                "Attempt",
                (experiment.attempt > 1).then(|| experiment.attempt.to_string()),
            ),
            ("Node", experiment.node_name.clone()),
            ("Sweep", sweep.map(|sweep| sweep.to_string())),
        ];
        Self {
            facts: all
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            labels: spec
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            failure: experiment.failure.clone(),
        }
    }
}

fn device(experiment: &Experiment) -> String {
    let spec = &experiment.spec;
    let gpus = match spec.gpus.len() as u32 {
        0 => spec.gpu_count,
        named => named,
    };
    let ranks = match spec.num_processes {
        1 => "1 process".to_owned(),
        ranks => format!("{ranks} processes"),
    };
    let gpus = match gpus {
        0 => String::new(),
        1 => ", 1 GPU metered".to_owned(),
        gpus => format!(", {gpus} GPUs metered"),
    };
    let device = match spec.device {
        Device::Cuda => "cuda",
        Device::Cpu => "cpu",
        Device::Auto => "auto",
    };
    format!("{device}, {ranks}{gpus}")
}
