use super::{Distribution, Load, Prompts, Spec};

impl Spec {
    /// Returns the number of prompts of one pass; `None` for a set whose size is not stated.
    pub fn prompt_count(&self) -> Option<u32> {
        let count = |length: usize| Some(u32::try_from(length).unwrap_or(u32::MAX));
        match &self.prompts {
            _ if !self.prompt_lines.is_empty() => count(self.prompt_lines.len()),
            Prompts::Texts(texts) if texts.is_empty() => {
                self.prompt_source_count.or_else(|| self.replayed_prompts()?.requests)
            }
            Prompts::Texts(texts) => count(texts.len()),
            Prompts::Dataset(set) => set.count,
            Prompts::Synthetic { synthetic } => Some(synthetic.count),
        }
    }

    /// Returns the maximum number of tokens that one pass over all prompts generates; `None` for a set whose size is
    /// not stated.
    pub fn max_output_tokens_of_a_pass(&self) -> Option<u64> {
        let prompts = self.prompt_count()?;
        if self.prompt_lines.is_empty() {
            return Some(u64::from(prompts).saturating_mul(u64::from(self.max_output_tokens)));
        }
        Some(
            (0..prompts)
                .map(|index| u64::from(self.max_output_tokens_of(index)))
                .sum(),
        )
    }

    /// Returns an upper bound on the tokens that are read and generated in the measured cycles, over all ranks. Texts
    /// are bounded by their bytes, since a token is at least one byte; the few tokens of a chat template are left out.
    /// `dataset_bytes` is the length of a built-in set's prompts. Saturates.
    pub fn token_bound(&self, dataset_bytes: u64) -> u64 {
        let of_a_cycle = match self.requests_by_chance() {
            Some(requests) => {
                let longest = self.input_bound(dataset_bytes, u64::max);
                longest
                    .saturating_add(self.max_output_tokens_of_any())
                    .saturating_mul(requests)
            }
            None => {
                let input = self.input_bound(dataset_bytes, u64::saturating_add);
                let output = self.max_output_tokens_of_a_pass().unwrap_or(0);
                input.saturating_add(output).saturating_mul(self.passes().unwrap_or(1))
            }
        };
        of_a_cycle.saturating_mul(u64::from(self.num_cycles) + u64::from(self.repeat_disturbed))
    }

    /// Returns the bounds of all prompts' tokens, combined by `fold`: their sum or their maximum.
    fn input_bound(&self, dataset_bytes: u64, fold: fn(u64, u64) -> u64) -> u64 {
        let prompts = u64::from(self.prompt_count().unwrap_or(0));
        let most_of_one = self.max_input_tokens.map_or(u64::MAX, u64::from);
        match &self.prompts {
            _ if !self.prompt_lines.is_empty() => {
                let lines = self.prompt_lines.iter().map(|line| line.bytes().min(most_of_one));
                lines.fold(0, fold)
            }
            Prompts::Texts(texts) => texts
                .iter()
                .map(|text| (text.len() as u64).min(most_of_one))
                .fold(0, fold),
            Prompts::Dataset(_) => dataset_bytes.min((0..prompts).map(|_| most_of_one).fold(0, fold)),
            Prompts::Synthetic { synthetic } => {
                let (_, longest) = synthetic.input_bounds();
                let each = (0..prompts).map(|_| u64::from(longest).min(most_of_one));
                each.fold(0, fold)
            }
        }
    }

    /// Returns the maximum number of requests of a cycle where chance, or the times of a file, assign requests to
    /// ranks. Each rank goes through its own prompts, and any rank may get more than its share. `None` where every rank
    /// runs all its prompts.
    fn requests_by_chance(&self) -> Option<u64> {
        let load = self.load.as_ref().filter(|load| load.comes_by_itself())?;
        let requests = load.max_requests().filter(|_| self.num_processes > 1)?;
        Some(requests.into())
    }

    /// Returns the maximum number of output tokens of any prompt.
    fn max_output_tokens_of_any(&self) -> u64 {
        let lines = 0..self.prompt_lines.len() as u32;
        let each = lines.map(|index| self.max_output_tokens_of(index));
        u64::from(each.max().unwrap_or(self.max_output_tokens))
    }

    /// Returns the number of requests of a cycle, over all ranks; the mean for an open load with a duration. `None` for
    /// a set whose size is not stated.
    pub fn requests_of_a_cycle(&self) -> Option<u64> {
        match self.load.as_ref().and_then(Load::requests) {
            Some(requests) => Some(requests.into()),
            None => Some(u64::from(self.prompt_count()?) * self.copies()),
        }
    }

    /// Returns the maximum number of tokens that a cycle generates, over all ranks; `None` for a set whose size is not
    /// stated.
    pub fn max_output_tokens_of_a_cycle(&self) -> Option<u64> {
        if let Some(requests) = self.requests_by_chance() {
            return Some(requests.saturating_mul(self.max_output_tokens_of_any()));
        }
        Some(self.max_output_tokens_of_a_pass()?.saturating_mul(self.passes()?))
    }

    /// Returns the maximum number of passes over all prompts in a cycle; the last one may be incomplete.
    fn passes(&self) -> Option<u64> {
        Some(match self.load.as_ref().and_then(Load::max_requests) {
            Some(requests) => u64::from(requests).div_ceil(u64::from(self.prompt_count()?.max(1))),
            None => self.copies(),
        })
    }

    /// Returns how many ranks run each prompt.
    fn copies(&self) -> u64 {
        match self.distribution {
            Distribution::Shard => 1,
            Distribution::Replicate => u64::from(self.num_processes),
        }
    }
}
