use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// What a program needs to start, to find its libraries, its caches and the way to the hub.
const NAMES: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
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
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
];
/// Settings of the locale, and of CUDA and its libraries.
const PREFIXES: [&str; 4] = ["LC_", "CUDA_", "NVIDIA_", "NCCL_"];

/// The way to the hub where there is no other. One with a password in it is a secret, and stays here.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
];

/// Returns the variables of this process that an engine and its workers get. All others stay here: the service's own
/// hold secrets, such as the database's password.
pub fn for_engines() -> Vec<(OsString, OsString)> {
    let is_passed_on = |name: &str| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let is_open_proxy = |name: &str, value: &OsStr| PROXIES.contains(&name) && !value.as_bytes().contains(&b'@');
    let passed_on = std::env::vars_os().filter(|(name, value)| {
        let name = name.to_str().unwrap_or_default();
        is_passed_on(name) || is_open_proxy(name, value)
    });
    passed_on.collect()
}
