//! PyTorch's pickles in a folder. Owns which of them are the model's weights. Only their sizes are used; their content
//! is not read.

use std::path::Path;

use super::error::ModelFileError;
use super::gguf_model::split_name;
use super::read::{not_of_a_model, open_file};

/// Pickles with a model's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pickles {
    pub bytes: u64,
    /// Whether their names are those of weights, so they contain nothing else.
    pub are_named: bool,
}

/// Beginnings of the names of pickles that are not weights: training states and adapters.
const BESIDE_WEIGHTS: [&str; 6] = [
    "optimizer",
    "scheduler",
    "scaler",
    "rng_state",
    "training_args",
    "adapter_",
];

/// Returns whether a file with this name, in lower case, is a pickle as PyTorch writes it.
pub(super) fn is_pickle(name: &str) -> bool {
    [".bin", ".pt", ".pth"].iter().any(|ending| name.ends_with(ending))
}

/// Returns whether a pickle with this name is a training state or an adapter.
pub(super) fn is_beside_weights(name: &str) -> bool {
    BESIDE_WEIGHTS.iter().any(|other| name.starts_with(other))
}

/// Returns the pickles with the folder's weights; `None` without any. Files with Mistral's and Meta's names may contain
/// the same weights as transformers' files, and then do not count.
///
/// # Errors
/// Returns [`ModelFileError::MissingShard`] where one of several shards is missing, and an error for a file that is not
/// a pickle.
pub(super) fn pickles(folder: &Path) -> Result<Option<Pickles>, ModelFileError> {
    let mut sums = [0_u64; 3];
    for entry in std::fs::read_dir(folder).map_err(|error| ModelFileError::io(folder, error))? {
        let path = entry.map_err(|error| ModelFileError::io(folder, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_pickle(name) || is_beside_weights(name) {
            continue;
        }
        let (_, bytes) = open_file(&path)?;
        if let Some(what) = not_of_a_model(&path) {
            return Err(ModelFileError::malformed(&path, format!("it is {what}")));
        }
        let sum = match name {
            _ if name.starts_with("pytorch_model") => &mut sums[0],
            _ if name.starts_with("consolidated") => &mut sums[1],
            _ => &mut sums[2],
        };
        *sum = sum.saturating_add(bytes);
        all_of_one(folder, name)?;
    }
    let found = sums.iter().zip([true, true, false]).find(|(bytes, _)| **bytes > 0);
    Ok(found.map(|(bytes, are_named)| Pickles {
        bytes: *bytes,
        are_named,
    }))
}

/// Returns an error for a shard, `name-00001-of-00002.bin`, whose other shards are missing.
fn all_of_one(folder: &Path, name: &str) -> Result<(), ModelFileError> {
    let Some((stem, count)) = split_name(name, ".bin") else {
        return Ok(());
    };
    let files = (1..=count).map(|index| folder.join(format!("{stem}-{index:05}-of-{count:05}.bin")));
    match files.into_iter().find(|file| !file.exists()) {
        Some(path) => Err(ModelFileError::MissingShard { path }),
        None => Ok(()),
    }
}
