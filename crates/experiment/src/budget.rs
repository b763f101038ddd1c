use super::{Distribution, Prompts, Spec};

impl Spec {
    /// How many prompts one pass has; null for a set whose size is not stated.
    pub fn prompt_count(&self) -> Option<u32> {
        match &self.prompts {
            Prompts::Texts(texts) => Some(u32::try_from(texts.len()).unwrap_or(u32::MAX)),
            Prompts::Dataset(set) => set.count,
            Prompts::Synthetic { synthetic } => Some(synthetic.count),
        }
    }

    /// No more tokens than this are read and generated in the measured cycles, all ranks together. Of texts it is a
    /// bound and no count: a token is at least one byte, and a chat template's own few are left out. `dataset_bytes` is
    /// the length of a built-in set's prompts. Saturates.
    pub fn token_bound(&self, dataset_bytes: u64) -> u64 {
        let prompts = u64::from(self.prompt_count().unwrap_or(0));
        let most_of_one = self.max_input_tokens.map_or(u64::MAX, u64::from);
        let input = match &self.prompts {
            Prompts::Texts(texts) => texts
                .iter()
                .map(|text| (text.len() as u64).min(most_of_one))
                .fold(0, u64::saturating_add),
            Prompts::Dataset(_) => dataset_bytes.min(prompts.saturating_mul(most_of_one)),
            Prompts::Synthetic { synthetic } => {
                prompts.saturating_mul(u64::from(synthetic.input_tokens).min(most_of_one))
            }
        };
        let output = prompts.saturating_mul(u64::from(self.max_output_tokens));
        let copies = match self.distribution {
            Distribution::Shard => 1,
            Distribution::Replicate => u64::from(self.num_processes),
        };
        input
            .saturating_add(output)
            .saturating_mul(u64::from(self.num_cycles))
            .saturating_mul(copies)
    }
}
