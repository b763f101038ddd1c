use std::iter::StepBy;
use std::ops::Range;

use super::choices::Distribution;
use super::{Requirements, Spec};

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
    pub fn prompts_of_rank(&self, rank: u32, prompt_count: u32) -> StepBy<Range<u32>> {
        match self.distribution {
            Distribution::Replicate => (0..prompt_count).step_by(1),
            Distribution::Shard => (rank..prompt_count).step_by(self.num_processes as usize),
        }
    }
}
