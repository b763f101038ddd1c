//! An engine program that only describes itself: enough for a server to accept an experiment with a model, without
//! building one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Its description, for the CPU alone. The version of the protocol is filled in.
const DESCRIPTION: &str = r#"{"name": "mistral", "version": "0.1.0", "engine_version": "0.8.1", "features": [],
    "compiled_cpu_features": ["avx2"], "protocol_version": VERSION}"#;

/// Writes an engine program into `folder` that declares this version of the protocol.
///
/// # Panics
/// Panics when it cannot be written.
pub fn write(folder: &Path, protocol_version: u32) {
    let description = DESCRIPTION.replace("VERSION", &protocol_version.to_string());
    let new = folder.join("joulemark-mistral.new");
    fs::write(&new, format!("#!/bin/sh\necho '{description}'\n")).expect("an engine is written");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("it may be run");
    fs::rename(&new, folder.join("joulemark-mistral")).expect("it takes the old one's place");
}
