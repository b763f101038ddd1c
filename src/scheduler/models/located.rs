//! Finds a model by name: in the models folder, on the Hugging Face hub, on a server, or in the synthetic engine.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::EngineSettings;
use crate::scheduler::folders::by_name;
use crate::synthetic::{SYNTHETIC_PREFIX, SyntheticModel, SyntheticNameError};
use joulemark_experiment::{Model, Warning, WarningCode};
use joulemark_flops::Estimator;
use joulemark_flops::model_files::{self, ModelFiles, ModelFormat};
use joulemark_measurement::quoted;

/// Kind of engine that runs an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    Mistral,
    Synthetic,
    /// A server from the configuration.
    Served,
}

/// A model that was found by its name: the engine that runs it, and its files.
#[derive(Debug)]
pub struct LocatedModel {
    pub engine: EngineChoice,
    /// A file or folder; for the hub its id, for the synthetic engine the whole name.
    pub path: PathBuf,
    pub from_hub: bool,
    /// `None` for the hub, for the synthetic engine, and for a server whose model files are not known.
    pub files: Option<ModelFiles>,
}

/// Reason why a `model_name` cannot be run here, with what is accepted.
#[derive(Debug, Error)]
pub enum ModelRefusal {
    #[error(transparent)]
    Synthetic(SyntheticNameError),
    #[error("is {name}, the synthetic engine, which this server does not allow (allow_synthetic_engine is false)", name = quoted(.name))]
    SyntheticForbidden { name: String },
    #[error(
        "is {name}, which is not under the models folder{reason}; there is {there}. A Hugging Face id is accepted \
         only where the server allows the hub (allow_hub is false)", name = quoted(.name)
    )]
    Unknown {
        name: String,
        reason: String,
        there: String,
    },
    #[error("is {name}, which cannot be run: {problem}", name = quoted(.name))]
    Unusable { name: String, problem: String },
}

/// Places that models may come from.
#[derive(Clone, Debug)]
pub struct ModelSources {
    /// Folder that holds the models.
    pub folder: PathBuf,
    pub allow_hub: bool,
    /// Hugging Face ids that may be fetched, `org/*` for all of an organisation; empty for no restriction.
    pub hub_allow: Vec<String>,
    pub allow_synthetic: bool,
}

impl ModelSources {
    /// Finds a model in the models folder or, where that is allowed, on the hub or in the synthetic engine.
    ///
    /// # Errors
    /// Returns a `ModelRefusal`, worded as a problem of the field `model_name`.
    pub fn locate(&self, name: &str) -> Result<LocatedModel, ModelRefusal> {
        if name.starts_with(SYNTHETIC_PREFIX) {
            return self.synthetic(name);
        }
        match model_files::resolve(&self.folder, name) {
            Ok(path) => open(path).map_err(|problem| ModelRefusal::Unusable {
                name: name.to_owned(),
                problem: by_name(&problem, &self.folder),
            }),
            Err(_) if self.allow_hub && is_hub_id(name) => Ok(LocatedModel {
                engine: EngineChoice::Mistral,
                path: PathBuf::from(name),
                from_hub: true,
                files: None,
            }),
            Err(error) => Err(ModelRefusal::Unknown {
                name: name.to_owned(),
                reason: by_name(&format!(" ({error})"), &self.folder),
                there: list_models(&self.folder),
            }),
        }
    }

    /// Finds a model for an engine that is a server: in the models folder when the server is started for the
    /// experiment, otherwise by the server's `model_name` and `model_path` in the configuration.
    ///
    /// # Errors
    /// Returns a `ModelRefusal`, worded as a problem of the field `model_name`.
    pub fn locate_for_server(&self, server: &EngineSettings, name: &str) -> Result<LocatedModel, ModelRefusal> {
        let unusable = |problem: String| ModelRefusal::Unusable {
            name: name.to_owned(),
            problem: by_name(&problem, &self.folder),
        };
        if !server.model_name.is_empty() && server.model_name != name {
            return Err(unusable(format!(
                "the engine serves only {}",
                quoted(&server.model_name)
            )));
        }
        let opened = |path: PathBuf| {
            let files = ModelFiles::open(&path).map_err(|error| unusable(error.to_string()))?;
            Ok(served(load_path(&files, path), Some(files)))
        };
        match (server.is_managed(), server.model_name.is_empty()) {
            (true, true) => match model_files::resolve(&self.folder, name) {
                Ok(path) => opened(path),
                Err(error) => Err(ModelRefusal::Unknown {
                    name: name.to_owned(),
                    reason: by_name(&format!(" ({error})"), &self.folder),
                    there: list_models(&self.folder),
                }),
            },
            (false, _) if !server.model_path.as_os_str().is_empty() => opened(server.model_path.clone()),
            _ => Ok(served(PathBuf::from(name), None)),
        }
    }

    fn synthetic(&self, name: &str) -> Result<LocatedModel, ModelRefusal> {
        if !self.allow_synthetic {
            return Err(ModelRefusal::SyntheticForbidden { name: name.to_owned() });
        }
        name.parse::<SyntheticModel>().map_err(ModelRefusal::Synthetic)?;
        Ok(LocatedModel {
            engine: EngineChoice::Synthetic,
            path: PathBuf::from(name),
            from_hub: false,
            files: None,
        })
    }

    /// Returns whether `hub_allow` permits this Hugging Face id. Ignores whether the hub is allowed.
    pub fn allows_from_hub(&self, id: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix("/*") {
            Some(organisation) => id
                .split_once('/')
                .is_some_and(|(owner, _)| owner.eq_ignore_ascii_case(organisation)),
            None => pattern.eq_ignore_ascii_case(id),
        };
        self.hub_allow.is_empty() || self.hub_allow.iter().any(fits)
    }
}

fn served(path: PathBuf, files: Option<ModelFiles>) -> LocatedModel {
    LocatedModel {
        engine: EngineChoice::Served,
        path,
        from_hub: false,
        files,
    }
}

/// Reads the headers of a local model; returns the reasons when mistral.rs cannot load it.
fn open(path: PathBuf) -> Result<LocatedModel, String> {
    let files = ModelFiles::open(&path).map_err(|error| error.to_string())?;
    if !files.loadable_problems().is_empty() {
        return Err(files.loadable_problems().join("; "));
    }
    let path = load_path(&files, path);
    Ok(LocatedModel {
        engine: EngineChoice::Mistral,
        path,
        from_hub: false,
        files: Some(files),
    })
}

impl LocatedModel {
    /// Returns the facts that a submission is checked against.
    pub fn facts(&self) -> Model {
        let is_served = self.engine == EngineChoice::Served;
        match &self.files {
            Some(files) => Model {
                is_gguf: files.format == ModelFormat::Gguf && !is_served,
                max_context_tokens: files.max_context_tokens,
                // A server has a default template for models without one.
                has_chat_template: files.has_chat_template || is_served,
                is_pretended: false,
                is_served,
            },
            // Unknown before loading: the worker reports an error for what turns out to be impossible.
            None => Model {
                is_gguf: false,
                max_context_tokens: None,
                has_chat_template: true,
                is_pretended: self.engine == EngineChoice::Synthetic,
                is_served,
            },
        }
    }

    /// Returns the maximum sequence length in tokens; `None` when the files do not state it.
    pub fn max_context_tokens(&self) -> Option<u64> {
        self.files.as_ref()?.max_context_tokens
    }

    /// Returns the number of elements of mistral.rs's key-value cache per token; `None` when the files do not state it.
    pub fn cache_elements_per_token(&self) -> Option<u64> {
        let shape = self.files.as_ref()?.shape.as_ref().ok()?;
        (self.engine == EngineChoice::Mistral).then(|| shape.paged_cache_elements())
    }

    /// Returns the warning that results of the synthetic engine carry; `None` for other engines.
    pub fn warning(&self) -> Option<Warning> {
        let message = "run by the synthetic engine: no model, no real tokens, nothing to cite".to_owned();
        (self.engine == EngineChoice::Synthetic).then_some(Warning {
            code: WarningCode::SyntheticEngine,
            message,
        })
    }

    /// Returns the estimator of FLOPs for the model; it knows none when the model's shape is unknown.
    pub fn estimator(&self, name: &str) -> Estimator {
        match &self.files {
            Some(files) => files.estimator(name),
            None if self.engine == EngineChoice::Synthetic => Estimator::Unknown {
                reason: "the synthetic engine computes nothing".to_owned(),
            },
            None if self.engine == EngineChoice::Served => Estimator::Unknown {
                reason: "the files of the model that the server runs are not known; name them by model_path".to_owned(),
            },
            None => model_files::estimator_by_name(name),
        }
    }
}

/// Returns the path to load: the GGUF file itself even when its folder was named, since mistral.rs tells the formats
/// apart by it.
fn load_path(files: &ModelFiles, named: PathBuf) -> PathBuf {
    match (files.format, files.files.first()) {
        (ModelFormat::Gguf, Some(first)) => first.clone(),
        _ => named,
    }
}

/// Returns whether the name has the form of a Hugging Face id.
pub fn is_hub_id(name: &str) -> bool {
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    name.split_once('/')
        .is_some_and(|(owner, repository)| good(owner) && good(repository))
}

fn list_models(models_dir: &Path) -> String {
    const SHOWN: usize = 20;
    let entries = match model_files::catalogue(models_dir) {
        Ok(entries) => entries,
        Err(error) => return by_name(&format!("no model ({error})"), models_dir),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_allows_what_is_on_it_and_an_empty_one_everything() {
        let sources = |hub_allow: &[&str]| ModelSources {
            folder: PathBuf::new(),
            allow_hub: true,
            hub_allow: hub_allow.iter().map(|&pattern| pattern.to_owned()).collect(),
            allow_synthetic: false,
        };
        assert!(sources(&[]).allows_from_hub("any/thing"));
        let sources = sources(&["HuggingFaceTB/*", "Qwen/Qwen2.5-0.5B"]);
        for id in ["HuggingFaceTB/SmolLM2-135M", "huggingfacetb/x", "Qwen/Qwen2.5-0.5B"] {
            assert!(sources.allows_from_hub(id), "{id}");
        }
        for id in [
            "Qwen/Qwen2.5-0.5B-evil",
            "Qwen/other",
            "HuggingFaceTB-evil/x",
            "HuggingFaceTB",
        ] {
            assert!(!sources.allows_from_hub(id), "{id}");
        }
    }
}
