use std::path::Path;

/// The small real model, as `deploy/fetch-model.sh` names its file.
pub const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Returns the folder that `deploy/fetch-model.sh models` fills.
///
/// # Panics
/// When the model is not there: a test never passes without it.
pub fn models_dir() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    assert!(
        folder.join(MODEL).exists(),
        "run `bash deploy/fetch-model.sh models` first"
    );
    folder.display().to_string()
}
