use std::path::Path;

use super::error::ModelFileError;
use super::files::ModelFiles;
use super::passed::{Passed, passed};
use super::read::is_there;
use super::{gguf_model, safetensors_model};

impl ModelFiles {
    /// Reads the headers of a `.gguf` file (with its other shards), of a folder with `config.json` and safetensors, or
    /// of a folder with exactly one GGUF model. Where a folder has both, safetensors are read; the GGUF can be given by
    /// its own path.
    ///
    /// ```
    /// use joulemark_flops::Estimator;
    /// use joulemark_flops::model_files::{ModelFiles, ModelFormat};
    ///
    /// let folder = tempfile::tempdir()?;
    /// std::fs::write(folder.path().join("config.json"), r#"{"model_type": "llama"}"#)?;
    /// // A safetensors file of one tensor: the header's length, the header, two bytes of data.
    /// let header = br#"{"model.norm.weight":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}"#;
    /// let length = (header.len() as u64).to_le_bytes();
    /// let content = [&length[..], &header[..], &[0, 0]].concat();
    /// std::fs::write(folder.path().join("model.safetensors"), content)?;
    ///
    /// let files = ModelFiles::open(folder.path())?;
    /// assert_eq!((files.format, files.tensors.len()), (ModelFormat::Safetensors, 1));
    /// // Llama has more tensors than one, so the count falls back to its formulas.
    /// let Estimator::Walk(walk) = files.estimator("llama") else { unreachable!() };
    /// assert!(!walk.is_traced());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Returns a [`ModelFileError`], whose variants distinguish a wrong name, a damaged file and a temporary error of
    /// the disk.
    pub fn open(path: &Path) -> Result<Self, ModelFileError> {
        let path = match passed(path)? {
            Passed::Config(path) => return Err(ModelFileError::NotAModel { path }),
            Passed::Model(path) => path,
        };
        if !path.is_dir() {
            return match path.extension() {
                Some(extension) if extension.eq_ignore_ascii_case("gguf") => gguf_model::open(&path),
                _ => Err(ModelFileError::NotAModel { path }),
            };
        }
        if is_there(&path.join("config.json"))? && !safetensors_model::weight_files(&path)?.is_empty() {
            return safetensors_model::open(&path);
        }
        if path.join("params.json").exists() && gguf_model::models_in(&path)?.is_empty() {
            return Err(ModelFileError::PassInstead {
                path,
                what: "a model in Mistral's or Meta's own format (params.json), which is not read",
                instead: "the folder of the same model with config.json".to_owned(),
            });
        }
        if path.join("adapter_config.json").exists() && gguf_model::models_in(&path)?.is_empty() {
            return Err(ModelFileError::PassInstead {
                path,
                what: "an adapter without its base model",
                instead: "the base model".to_owned(),
            });
        }
        gguf_model::open(&gguf_model::only_model_in(&path)?)
    }
}
