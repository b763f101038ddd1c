use std::time::Instant;

use mistralrs::{GgufModelBuilder, Model, RequestBuilder, SamplingParams, TextMessageRole};

/// mistral.rs as its own documentation calls it, with its prefix cache off.
pub struct Direct(Model);

impl Direct {
    pub async fn load(model: &str) -> Self {
        let built = GgufModelBuilder::new("models", vec![model]).with_force_cpu().with_prefix_cache_n(None).build();
        Self(built.await.expect("the model is in ./models"))
    }

    /// Output tokens over the wall time of all prompts, one after the other.
    pub async fn tokens_per_second(&self, prompts: &[String], output_tokens: usize) -> f64 {
        let start = Instant::now();
        let mut tokens = 0;
        for prompt in prompts {
            let sampling = SamplingParams { max_len: Some(output_tokens), ..SamplingParams::deterministic() };
            let request =
                RequestBuilder::new().add_message(TextMessageRole::User, prompt).set_sampling(sampling);
            let answer = self.0.send_chat_request(request).await.expect("the model answers");
            tokens += answer.usage.completion_tokens;
        }
        tokens as f64 / start.elapsed().as_secs_f64()
    }
}
