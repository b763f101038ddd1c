//! Selects the variables of the environment that engines and servers inherit.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// Variables that a program needs to start, and to find its libraries, its caches and the hub.
const NAMES: [&str; 30] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_NUMERIC",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "XDG_CACHE_HOME",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_ENDPOINT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NO_PROXY",
    "no_proxy",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
];
/// Prefixes of settings of CUDA and NCCL, which are many and change.
const PREFIXES: [&str; 2] = ["CUDA_", "NCCL_"];

/// Words in a name that mark its value as a secret, whatever the prefix.
const SECRETS: [&str; 7] = ["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL", "AUTH", "COOKIE"];

/// Returns the variables of this process that an engine and its workers inherit. All others stay with the service,
/// since some contain secrets such as the database password.
pub fn for_engines() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, value)| is_passed_on(name.to_str().unwrap_or_default(), value))
        .collect()
}

/// Variables that a server which is started for an experiment inherits by default.
const NAMES_OF_SERVERS: [&str; 3] = ["PATH", "HOME", "LANG"];

/// Returns the variables of this process that a server which is started for an experiment inherits, in addition to
/// those that its configuration lists.
pub fn for_servers() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, value)| {
            let name = name.to_str().unwrap_or_default();
            let is_usual = NAMES_OF_SERVERS.contains(&name) || name.starts_with("CUDA_");
            is_usual && is_passed_on(name, value)
        })
        .collect()
}

/// Returns whether an engine may inherit a variable, by its name. A proxy or hub URL that contains user information is
/// a secret and is not inherited.
fn is_passed_on(name: &str, value: &OsStr) -> bool {
    let is_setting = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let is_secret = SECRETS.iter().any(|word| name.to_uppercase().contains(word));
    let is_address = name.to_uppercase().ends_with("_PROXY") || name == "HF_ENDPOINT";
    let has_user = is_address && value.as_bytes().contains(&b'@');
    (NAMES.contains(&name) || (is_setting && !is_secret)) && !has_user
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passes(name: &str, value: &str) -> bool {
        is_passed_on(name, OsStr::new(value))
    }

    #[test]
    fn variables_that_an_engine_needs_are_inherited() {
        for name in NAMES
            .into_iter()
            .chain(["CUDA_VISIBLE_DEVICES", "CUDA_CACHE_PATH", "NCCL_DEBUG"])
        {
            assert!(passes(name, "value"), "{name}");
        }
        assert!(passes("HTTPS_PROXY", "http://proxy:3128") && passes("HF_ENDPOINT", "https://mirror.example"));
    }

    #[test]
    fn a_secret_of_any_name_is_not_inherited() {
        for name in [
            "JOULEMARK_DATABASE_URL",
            "JOULEMARK_API_KEY",
            "JOULEMARK_CALLBACK_SECRET_FILE",
            "DATABASE_URL",
            "PGPASSWORD",
            "PGPASSFILE",
            "PGUSER",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "HF_TOKEN",
            "HUGGING_FACE_HUB_TOKEN",
            "NVIDIA_API_KEY",
            "CUDA_API_KEY",
            "NCCL_AUTH_TOKEN",
            "NCCL_password",
            "LC_SECRET",
            "GITHUB_TOKEN",
            "SSH_AUTH_SOCK",
            "KUBECONFIG",
            "OTEL_EXPORTER_OTLP_HEADERS",
            "LD_PRELOAD",
            "path",
            "",
        ] {
            assert!(!passes(name, "secret"), "{name}");
        }
        for name in ["HTTPS_PROXY", "all_proxy", "HF_ENDPOINT"] {
            assert!(!passes(name, "http://user:secret@host"), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_variable_of_the_service_is_inherited(rest in "[A-Za-z0-9_]{0,20}", value in "[ -~]{0,20}") {
            for prefix in ["JOULEMARK_", "PG", "AWS_", "DATABASE_"] {
                let name = format!("{prefix}{rest}");
                prop_assert!(!passes(&name, &value), "{}", name);
            }
        }
    }
}
