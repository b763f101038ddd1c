//! Answers of vLLM, SGLang, TGI, Ollama and llama.cpp with the irregularities of each, as in their releases of 2025 and
//! 2026. Text and counts are invented; the same request always gets the same answer.

mod made_up;
mod pages;
mod wire;

use serde_json::json;

use super::asked::Asked;
use super::steps::{Step, page};
pub use made_up::{Dialect, Honours, PromptCache, Speaker};
use wire::Wire;

impl Speaker {
    /// Returns the steps that answer a request.
    pub fn answer(&self, asked: &Asked) -> Vec<Step> {
        if !asked.is_for_tokens() {
            return match self.page(asked) {
                Some(text) => page("200 OK", &text),
                None => page("404 Not Found", r#"{"detail":"Not Found"}"#),
            };
        }
        let model = asked.body["model"].as_str().unwrap_or_default();
        if !self.models.iter().any(|served| served == model) {
            let error = json!({"error": {"message": format!("The model `{model}` does not exist."), "code": 404}});
            return page("404 Not Found", &error.to_string());
        }
        let plan = self.plan(&asked.body);
        Wire::new(self, &asked.body, asked.path.contains("/chat/")).answer(&plan)
    }
}
