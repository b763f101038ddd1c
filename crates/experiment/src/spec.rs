use std::iter::StepBy;
use std::ops::Range;

use super::choices::Distribution;
use super::prompt_lines::PromptLine;
use super::prompts::Prompts;
use super::{Load, ReplayLoad, Requirements, Spec};
use joulemark_measurement::EosHandling;

impl Spec {
    /// Returns what a node must have to run the experiment.
    pub fn requirements(&self) -> Requirements {
        Requirements {
            model_name: self.model_name.clone(),
            engine: self.engine.clone(),
            device: self.device,
            num_processes: self.num_processes,
            gpus: self.gpus.clone(),
            // Specs from before this field was added name their GPUs.
            gpu_count: self.gpu_count.max(self.gpus.len() as u32),
            isolation: self.isolation,
            node: self.node.clone(),
            node_labels: self.node_labels.clone(),
            prompt_source: self
                .prompt_source
                .clone()
                .or_else(|| Some(self.load.as_ref()?.replay()?.file.clone())),
            sets_power: self.sets_power(),
        }
    }

    /// Returns the GPUs of a rank: an equal, contiguous part of the list.
    pub fn gpus_of_rank(&self, rank: u32) -> &[String] {
        let per_rank = self.gpus.len() / self.num_processes as usize;
        &self.gpus[rank as usize * per_rank..(rank as usize + 1) * per_rank]
    }

    /// Returns the spec as workers get it, with the lines of its file where it has one. Lines that are plain texts
    /// become `prompts`, which every engine supports.
    pub fn for_workers(mut self, of_file: Vec<PromptLine>) -> Self {
        if self.prompt_source.is_some() || !of_file.is_empty() {
            self.prompt_lines = of_file;
        }
        if !self.prompt_lines.is_empty() && self.prompt_lines.iter().all(PromptLine::is_plain) {
            let lines = std::mem::take(&mut self.prompt_lines);
            self.prompts = Prompts::Texts(lines.into_iter().filter_map(|line| line.prompt).collect());
        }
        self
    }

    /// Returns whether power limits or clocks of the GPUs are to be set.
    pub fn sets_power(&self) -> bool {
        self.power_limit_w.is_some() || self.gpu_clock_mhz.is_some() || self.memory_clock_mhz.is_some()
    }

    /// Returns the load whose file contains the prompts; `None` where there is none.
    pub fn replayed_prompts(&self) -> Option<&ReplayLoad> {
        self.load.as_ref()?.replay().filter(|replay| replay.has_prompts)
    }

    /// Returns whether the prompts come from a file, which answers identify by its hash.
    pub fn has_prompts_of_a_file(&self) -> bool {
        self.prompt_source.is_some() || self.replayed_prompts().is_some()
    }

    /// Returns whether requests arrive at their own times, whatever the engine does, and so do not run in waves.
    pub fn is_open_load(&self) -> bool {
        self.load.as_ref().is_some_and(Load::comes_by_itself)
    }

    /// Returns the number of requests that a rank has in flight. A closed load's remainder goes to the first ranks.
    pub fn concurrency_of_rank(&self, rank: u32) -> u32 {
        match &self.load {
            Some(Load::Closed { closed }) => {
                closed.concurrency / self.num_processes + u32::from(rank < closed.concurrency % self.num_processes)
            }
            _ => self.batch_size,
        }
    }

    /// Returns the JSON pointer to the field that contains the prompts.
    pub fn prompts_pointer(&self) -> &'static str {
        if self.replayed_prompts().is_some() {
            return "/load/replay/file";
        }
        match (&self.prompt_source, self.prompt_lines.is_empty()) {
            (Some(_), _) => "/prompt_source",
            (None, false) => "/prompt_lines",
            (None, true) => "/prompts",
        }
    }

    /// Returns the maximum number of output tokens of the prompt at `index`.
    pub fn max_output_tokens_of(&self, index: u32) -> u32 {
        let line = self.prompt_lines.get(index as usize);
        let own = line.and_then(|line| line.max_output_tokens);
        own.or_else(|| self.drawn_output_tokens(index))
            .unwrap_or(self.max_output_tokens)
    }

    /// Returns how an engine in the worker's process treats end-of-sequence tokens.
    pub fn eos_in_process(&self) -> EosHandling {
        if self.draws_output_tokens() {
            return EosHandling::Ignored;
        }
        let of_lines = (0..self.prompt_lines.len() as u32).map(|line| self.max_output_tokens_of(line));
        let longest = of_lines.max().unwrap_or(self.max_output_tokens);
        match self.min_output_tokens {
            0 => EosHandling::Natural,
            least if least >= longest => EosHandling::Ignored,
            _ => EosHandling::Masked,
        }
    }

    /// Returns the minimum number of output tokens of the prompt at `index`.
    pub fn min_output_tokens_of(&self, index: u32) -> u32 {
        self.drawn_output_tokens(index).unwrap_or(self.min_output_tokens)
    }

    /// Returns whether the exact number of output tokens is drawn for each request.
    pub fn draws_output_tokens(&self) -> bool {
        self.drawn_output_tokens(0).is_some()
    }

    fn drawn_output_tokens(&self, index: u32) -> Option<u32> {
        match &self.prompts {
            Prompts::Synthetic { synthetic } if self.prompt_lines.is_empty() => synthetic.output_tokens_of(index),
            _ => None,
        }
    }

    /// Returns the indices of the prompts that `rank` runs, out of `prompt_count`.
    pub fn prompts_of_rank(&self, rank: u32, prompt_count: u32) -> StepBy<Range<u32>> {
        match self.distribution {
            Distribution::Replicate => (0..prompt_count).step_by(1),
            Distribution::Shard => (rank..prompt_count).step_by(self.num_processes as usize),
        }
    }
}
