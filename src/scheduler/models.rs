use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::synthetic::{SYNTHETIC_PREFIX, SyntheticModel};
use joulemark_experiment::{Model, OfferedModel, Warning, WarningCode};
use joulemark_flops::Estimator;
use joulemark_flops::model_files::{self, ModelFiles, ModelFormat};

/// Which engine an experiment runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    Mistral,
    Synthetic,
}

/// A `model_name` found: what runs it and what is known of it before it is loaded.
#[derive(Debug)]
pub struct LocatedModel {
    pub engine: EngineChoice,
    /// A file or folder; the hub id or the synthetic engine's name otherwise.
    pub path: PathBuf,
    pub from_hub: bool,
    /// Null for the hub and the synthetic engine.
    pub files: Option<ModelFiles>,
}

/// Why a `model_name` cannot be run here; each says what can.
#[derive(Debug, Error)]
pub enum ModelRefusal {
    #[error("{0}")]
    Synthetic(String),
    #[error("is {name:?}, the synthetic engine, which this server does not allow (allow_synthetic_engine is false)")]
    SyntheticForbidden { name: String },
    #[error(
        "is {name:?}, which is not under the models folder{reason}; there is {there}. A Hugging Face id is accepted \
         only where the server allows the hub (allow_hub is false)"
    )]
    Unknown {
        name: String,
        reason: String,
        there: String,
    },
    #[error("is {name:?}, which cannot be run: {problem}")]
    Unusable { name: String, problem: String },
}

/// Finds `name` under `models_dir`, on the hub where that is allowed, or as the synthetic engine's.
///
/// # Errors
/// [`ModelRefusal`], worded as a problem of the field `model_name`.
pub fn locate(
    models_dir: &Path,
    name: &str,
    allow_hub: bool,
    allow_synthetic: bool,
) -> Result<LocatedModel, ModelRefusal> {
    if name.starts_with(SYNTHETIC_PREFIX) {
        if !allow_synthetic {
            return Err(ModelRefusal::SyntheticForbidden { name: name.to_owned() });
        }
        let checked: Result<SyntheticModel, String> = name.parse();
        checked.map_err(ModelRefusal::Synthetic)?;
        return Ok(LocatedModel {
            engine: EngineChoice::Synthetic,
            path: PathBuf::from(name),
            from_hub: false,
            files: None,
        });
    }
    let path = match model_files::resolve(models_dir, name) {
        Ok(path) => path,
        Err(_) if allow_hub && is_hub_id(name) => {
            return Ok(LocatedModel {
                engine: EngineChoice::Mistral,
                path: PathBuf::from(name),
                from_hub: true,
                files: None,
            });
        }
        Err(error) => {
            return Err(ModelRefusal::Unknown {
                name: name.to_owned(),
                reason: format!(" ({error})"),
                there: what_there_is(models_dir),
            });
        }
    };
    let unusable = |problem: String| ModelRefusal::Unusable {
        name: name.to_owned(),
        problem,
    };
    let files = ModelFiles::open(&path).map_err(|error| unusable(error.to_string()))?;
    if !files.loadable_problems().is_empty() {
        return Err(unusable(files.loadable_problems().join("; ")));
    }
    let path = load_path(&files, path);
    Ok(LocatedModel {
        engine: EngineChoice::Mistral,
        path,
        from_hub: false,
        files: Some(files),
    })
}

/// What is under the models folder and can be loaded, for other nodes to know. Reads every model's headers.
pub fn offered_models(models_dir: &Path) -> Vec<OfferedModel> {
    let entries = model_files::catalogue(models_dir).unwrap_or_default();
    let usable = entries.into_iter().filter(|entry| entry.problem.is_none());
    let offered = usable.filter_map(|entry| {
        let located = locate(models_dir, &entry.name, false, false).ok()?;
        Some(OfferedModel {
            name: entry.name,
            facts: located.facts(),
        })
    });
    offered.collect()
}

impl LocatedModel {
    /// What a submission is checked against.
    pub fn facts(&self) -> Model {
        match &self.files {
            Some(files) => Model {
                is_gguf: files.format == ModelFormat::Gguf,
                max_context_tokens: files.max_context_tokens,
                has_chat_template: files.has_chat_template,
                is_pretended: false,
            },
            // Nothing is known yet: the worker refuses what turns out to be impossible.
            None => Model {
                is_gguf: false,
                max_context_tokens: None,
                has_chat_template: true,
                is_pretended: self.engine == EngineChoice::Synthetic,
            },
        }
    }

    /// What every reader of a result must know of what ran.
    pub fn warning(&self) -> Option<Warning> {
        let message = "run by the synthetic engine: no model, no real tokens, nothing to cite".to_owned();
        (self.engine == EngineChoice::Synthetic).then_some(Warning {
            code: WarningCode::SyntheticEngine,
            message,
        })
    }

    pub fn estimator(&self, name: &str) -> Estimator {
        match &self.files {
            Some(files) => files.estimator(name),
            None if self.engine == EngineChoice::Synthetic => Estimator::Unknown {
                reason: "the synthetic engine computes nothing".to_owned(),
            },
            None => model_files::estimator_by_name(name),
        }
    }
}

/// The GGUF itself even when its folder was named: the engine tells the two kinds apart by it.
fn load_path(files: &ModelFiles, named: PathBuf) -> PathBuf {
    match (files.format, files.files.first()) {
        (ModelFormat::Gguf, Some(first)) => first.clone(),
        _ => named,
    }
}

/// Whether the name could be a Hugging Face id.
pub fn is_hub_id(name: &str) -> bool {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    name.split_once('/')
        .is_some_and(|(owner, repository)| good(owner) && good(repository))
}

fn what_there_is(models_dir: &Path) -> String {
    const SHOWN: usize = 20;
    let entries = match model_files::catalogue(models_dir) {
        Ok(entries) => entries,
        Err(error) => return format!("no model ({error})"),
    };
    let usable = entries.into_iter().filter(|entry| entry.problem.is_none());
    let mut names = usable.map(|entry| entry.name).collect::<Vec<_>>();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    match (names.is_empty(), more) {
        (true, _) => "no model".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}
