//! Recognises the server program: each has a page that the others lack.

use std::time::Duration;

use serde_json::Value;

use crate::client::Client;

/// For each server: a page, a field that only its answer has, the server's name, and the field with the version.
const PAGES: [(&str, &str, &str, &str); 6] = [
    ("/props", "build_info", "llama.cpp", "build_info"),
    ("/info", "docker_label", "TGI", "version"),
    ("/server_info", "tp_size", "SGLang", "version"),
    ("/get_server_info", "tp_size", "SGLang", "version"),
    ("/version", "version", "vLLM", "version"),
    ("/api/version", "version", "Ollama", "version"),
];

/// Returns the server's name and version; `None` for what is unknown.
pub(crate) async fn server_name(client: &Client, timeout: Duration) -> (Option<String>, Option<String>) {
    for (path, mark, name, version) in PAGES {
        let Ok((status, _, text)) = client.page(path, timeout).await else {
            continue;
        };
        let Ok(page) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        if status.is_success() && page.get(mark).is_some() {
            let version = page.get(version).and_then(Value::as_str).map(str::to_owned);
            return (Some(name.to_owned()), version);
        }
    }
    (None, None)
}
