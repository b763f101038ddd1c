use std::path::Path;

/// File name of the small real model that `deploy/fetch-model.sh` downloads.
pub const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Returns the folder that `deploy/fetch-model.sh models` fills.
///
/// # Panics
/// Panics when the model is missing, so that no test passes without it.
pub fn models_dir() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    assert!(
        folder.join(MODEL).exists(),
        "run `bash deploy/fetch-model.sh models` first"
    );
    folder.display().to_string()
}
