use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choices::{Device, Distribution, FpPrecision, Isolation};
use super::{Prompts, Requirements};

/// How the next token is chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decoder {
    /// 0 is greedy.
    pub temperature: f64,
    /// Sample from the distribution instead of taking the likeliest token.
    pub do_sample: bool,
    /// Sample among the k likeliest tokens; null for all.
    pub top_k: Option<u32>,
    /// Sample among the likeliest tokens that together have this probability; null for all.
    pub top_p: Option<f64>,
    /// Divides positive and multiplies negative logits of tokens already seen; null for none.
    pub repetition_penalty: Option<f64>,
    /// Seed of the sampler; null when decoding is greedy.
    pub seed: Option<u64>,
}

/// A valid experiment, every default filled in. This is what is stored, run and shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Spec {
    /// A name for the configuration, for people.
    pub config_name: String,
    /// A file or folder under the server's models folder, or a Hugging Face id.
    pub model_name: String,
    pub prompts: Prompts,
    /// Prompts go to the model as they are, without its chat template.
    pub raw_prompt: bool,
    /// Longer prompts are cut at the end to this many tokens; null for no cut.
    pub max_input_tokens: Option<u32>,
    /// Most tokens to generate for a prompt.
    pub max_output_tokens: u32,
    /// End-of-sequence tokens are masked until this many tokens are out.
    pub min_output_tokens: u32,
    pub decoder: Decoder,
    /// Worker processes (ranks).
    pub num_processes: u32,
    /// UUIDs of the GPUs, in the order asked for; where any would do, those leased, and none before it is started.
    pub gpus: Vec<String>,
    /// How many GPUs it takes.
    #[serde(default)]
    pub gpu_count: u32,
    /// `cuda` or `cpu`, never `auto`.
    pub device: Device,
    pub distribution: Distribution,
    pub fp_precision: FpPrecision,
    /// In-situ quantization type; null when the model is run as it is.
    pub quantization: Option<String>,
    /// Requests in flight in each rank.
    pub batch_size: u32,
    /// Unmeasured passes over the first prompts before the cycles.
    pub warmup_iterations: u32,
    /// Measured passes over all prompts.
    pub num_cycles: u32,
    /// Seconds for which the workers stay idle between warm-up and cycles, for the loaded baseline; 0 for none.
    #[serde(default)]
    pub idle_baseline_sec: u32,
    #[serde(default)]
    pub isolation: Isolation,
    /// Whom its device time counts for; null for nobody named.
    #[serde(default)]
    pub user: Option<String>,
    /// Higher goes first, -100 to 100.
    #[serde(default)]
    pub priority: i32,
    /// The node that it must run on; null for any that can.
    #[serde(default)]
    pub node: Option<String>,
    /// Labels that its node must have.
    #[serde(default)]
    pub node_labels: BTreeMap<String, String>,
    /// Free labels to find the experiment by.
    pub labels: BTreeMap<String, String>,
}

impl Spec {
    /// What a node must have to run it.
    pub fn requirements(&self) -> Requirements {
        Requirements {
            model_name: self.model_name.clone(),
            device: self.device,
            num_processes: self.num_processes,
            gpus: self.gpus.clone(),
            // A spec of before there was a count names its GPUs.
            gpu_count: self.gpu_count.max(self.gpus.len() as u32),
            isolation: self.isolation,
            node: self.node.clone(),
            node_labels: self.node_labels.clone(),
        }
    }

    /// The rank's own GPUs: an equal, contiguous part of the list.
    pub fn gpus_of_rank(&self, rank: u32) -> &[String] {
        let per_rank = self.gpus.len() / self.num_processes as usize;
        &self.gpus[rank as usize * per_rank..(rank as usize + 1) * per_rank]
    }

    /// Indices of the prompts that `rank` runs, of `prompt_count` in all.
    pub fn prompts_of_rank(&self, rank: u32, prompt_count: u32) -> Vec<u32> {
        match self.distribution {
            Distribution::Replicate => (0..prompt_count).collect(),
            Distribution::Shard => (rank..prompt_count).step_by(self.num_processes as usize).collect(),
        }
    }
}
