use joulemark_measurement::clock::Monotonic;
use mistralrs::core::{
    DefaultSchedulerMethod, GGUFLoaderBuilder, GGUFSpecificConfig, MistralRsBuilder, ModelDType, SchedulerConfig,
};
use mistralrs::{
    AutoDeviceMapParams, Device, DeviceMapSetting, GgufModelBuilder, Model, RequestBuilder, SamplingParams,
    TextMessageRole, TokenSource,
};

/// mistral.rs without joulemark, with its prefix cache off.
pub struct Direct(Model);

impl Direct {
    /// Loads a GGUF as mistral.rs documents it, with the half-precision activations that it chooses.
    pub async fn as_documented(model: &str) -> Self {
        let built = GgufModelBuilder::new("models", vec![model])
            .with_force_cpu()
            .with_prefix_cache_n(None)
            .build();
        Self(built.await.expect("the model is in ./models"))
    }

    /// Loads a GGUF with float32 activations, as joulemark does on the CPU.
    pub async fn in_float32(model: &str) -> Self {
        let config = GGUFSpecificConfig { topology: None };
        let files = vec![model.to_owned()];
        let loader = GGUFLoaderBuilder::new(None, None, "models".to_owned(), files, config, false, None).build();
        let mapping = DeviceMapSetting::Auto(AutoDeviceMapParams::default_text());
        let pipeline = loader
            .load_model_from_hf(
                None,
                TokenSource::None,
                &ModelDType::F32,
                &Device::Cpu,
                true,
                mapping,
                None,
                None,
            )
            .expect("the model is in ./models");
        let method = DefaultSchedulerMethod::Fixed(1.try_into().expect("not zero"));
        let scheduler = SchedulerConfig::DefaultScheduler { method };
        let runner = MistralRsBuilder::new(pipeline, scheduler, false, None)
            .with_no_prefix_cache(true)
            // Exact lengths: a sequence that ends early would shift the mix of prefill and decode.
            .with_disable_eos_stop(true)
            .build()
            .await;
        Self(Model::new(runner))
    }

    /// Returns the output tokens per second of wall time of all prompts, one after the other, after a pass to warm up.
    pub async fn tokens_per_second(&self, prompts: &[String], output_tokens: usize) -> f64 {
        self.pass(prompts, output_tokens).await;
        let start = Monotonic::now();
        let tokens = self.pass(prompts, output_tokens).await;
        tokens as f64 / Monotonic::now().sec_since(start)
    }

    /// Runs all prompts, one after the other, and returns the number of output tokens.
    pub async fn pass(&self, prompts: &[String], output_tokens: usize) -> usize {
        let mut tokens = 0;
        for prompt in prompts {
            let sampling = SamplingParams {
                max_len: Some(output_tokens),
                ..SamplingParams::deterministic()
            };
            let request = RequestBuilder::new()
                .add_message(TextMessageRole::User, prompt)
                .set_sampling(sampling);
            let answer = self.0.send_chat_request(request).await.expect("the model answers");
            tokens += answer.usage.completion_tokens;
        }
        tokens
    }
}
