//! Pages besides the answers: version, models, health and metrics of a server.

use serde_json::{Value, json};

use super::made_up::{Dialect, Speaker};
use crate::openai_emitter::asked::Asked;

impl Speaker {
    /// Returns the text of a page; `None` where this kind of server does not have it.
    pub(super) fn page(&self, asked: &Asked) -> Option<String> {
        let page = match (asked.path.as_str(), self.dialect) {
            ("/v1/models", _) => {
                let models = self.models.iter().map(|model| json!({"id": model, "object": "model"}));
                json!({"object": "list", "data": models.collect::<Vec<Value>>()})
            }
            ("/health", Dialect::LlamaCpp) => json!({"status": "ok"}),
            ("/health", Dialect::Ollama) => return None,
            ("/health", _) => return Some(String::new()),
            ("/metrics", _) => return self.metrics(asked.in_flight),
            ("/version", Dialect::Vllm) => json!({"version": "0.11.0"}),
            ("/get_server_info", Dialect::Sglang) => json!({"tp_size": 1, "version": "0.5.3"}),
            ("/info", Dialect::Tgi) => json!({"model_id": "tiny", "version": "3.3.6", "docker_label": "sha-abc"}),
            ("/api/version", Dialect::Ollama) => json!({"version": "0.12.6"}),
            ("/props", Dialect::LlamaCpp) => json!({"total_slots": 4, "build_info": "b6700-abc"}),
            _ => return None,
        };
        Some(page.to_string())
    }

    fn metrics(&self, running: usize) -> Option<String> {
        let (queries, hits) = {
            let state = self.cache.0.lock().expect("no script panics with it");
            (state.queries, state.hits)
        };
        match self.dialect {
            Dialect::Vllm => Some(format!(
                "# TYPE vllm:num_requests_running gauge\n\
                 vllm:num_requests_running{{engine=\"0\",model_name=\"tiny\"}} {running}.0\n\
                 vllm:num_requests_waiting{{engine=\"0\",model_name=\"tiny\"}} 0.0\n\
                 vllm:kv_cache_usage_perc{{engine=\"0\",model_name=\"tiny\"}} 0.25\n\
                 vllm:num_preemptions_total{{engine=\"0\",model_name=\"tiny\"}} 0.0\n\
                 vllm:prefix_cache_queries_total{{engine=\"0\",model_name=\"tiny\"}} {queries}.0\n\
                 vllm:prefix_cache_hits_total{{engine=\"0\",model_name=\"tiny\"}} {hits}.0\n"
            )),
            Dialect::Sglang => Some(format!(
                "sglang:num_running_reqs{{model_name=\"tiny\"}} {running}.0\n\
                 sglang:num_queue_reqs{{model_name=\"tiny\"}} 0.0\n\
                 sglang:token_usage{{model_name=\"tiny\"}} 0.25\n\
                 sglang:prompt_tokens_total{{model_name=\"tiny\"}} {queries}.0\n\
                 sglang:cached_tokens_total{{cache_source=\"device\",model_name=\"tiny\"}} {hits}.0\n"
            )),
            Dialect::Tgi => Some(format!("tgi_batch_current_size {running}\ntgi_queue_size 0\n")),
            Dialect::LlamaCpp => Some(format!(
                "llamacpp:requests_processing {running}\nllamacpp:requests_deferred 0\nllamacpp:prompt_tokens_total {queries}\n"
            )),
            Dialect::Ollama => None,
        }
    }
}
