//! What is known of sequences that an engine decodes together: whether they stayed together, and whether each came out as
//! it does alone. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RequestMeasurement;

/// How many steps gave a token to so many sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchSteps {
    /// Sequences that got a token in one step.
    pub sequences: u32,
    /// Decoding steps.
    pub steps: u64,
}

/// Whether the sequences of a batch came out as each of them does alone, with the same tokens forced on both. Asked before
/// the first warm-up, outside of every measured window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchCheck {
    /// An experiment whose check does not pass fails, and has no result.
    pub verdict: BatchVerdict,
    /// Tokens whose logits were compared.
    pub compared_tokens: u32,
    /// Largest difference of a logit, among the eight largest of each token's.
    pub largest_difference: f64,
    /// What it may be: so many roundings of the activations' type, at the size of the largest logit.
    pub bound: f64,
}

/// What came of a batch's check.
///
/// - `passed`: no logit differed by more than the bound
/// - `failed`: one did
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BatchVerdict {
    Passed,
    Failed,
}

/// A sequence that got no token in a step in which others of its wave did, and more tokens later: the engine put it back,
/// and computed it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    pub prompt_index: u32,
    /// Tokens that it had by then.
    pub tokens: u32,
}

/// The steps of waves of sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepCount {
    histogram: BTreeMap<u32, u64>,
    /// Waves of so many sequences. The first step of each is its prefill.
    waves: BTreeMap<u32, u64>,
    pub passed_over: Option<PassedOver>,
}

impl StepCount {
    /// Counts the steps of `requests`, which are sorted by prompt and were sent in waves of `batch_size`.
    ///
    /// An engine that decodes together chooses a token of each sequence before it chooses the next of any: a step ends where
    /// a sequence has its second token.
    pub fn of(requests: &[RequestMeasurement], batch_size: u32) -> Self {
        let mut count = Self::default();
        for wave in requests.chunks(batch_size.max(1) as usize) {
            count.add_wave(wave);
        }
        count
    }

    /// Adds those of another rank or cycle.
    pub fn add(&mut self, other: &Self) {
        for (sequences, steps) in &other.histogram {
            *self.histogram.entry(*sequences).or_insert(0) += steps;
        }
        for (sequences, waves) in &other.waves {
            *self.waves.entry(*sequences).or_insert(0) += waves;
        }
        self.passed_over = self.passed_over.or(other.passed_over);
    }

    /// Returns how many passes computed prompts: one a wave.
    pub fn prefills(&self) -> u64 {
        self.waves.values().sum()
    }

    /// Lists how many steps after the prefill had so many sequences, the fewest first.
    pub fn decodes(&self) -> Vec<(u32, u64)> {
        let prefills = |sequences| self.waves.get(sequences).copied().unwrap_or(0);
        let each = self.histogram.iter();
        each.map(|(sequences, steps)| (*sequences, steps.saturating_sub(prefills(sequences))))
            .filter(|(_, steps)| *steps > 0)
            .collect()
    }

    /// Lists how many steps had so many sequences, the most sequences first.
    pub fn histogram(&self) -> Vec<BatchSteps> {
        let each = self.histogram.iter().rev();
        each.map(|(sequences, steps)| BatchSteps {
            sequences: *sequences,
            steps: *steps,
        })
        .collect()
    }

    fn add_wave(&mut self, wave: &[RequestMeasurement]) {
        let of_sequence = |(sequence, request): (usize, &RequestMeasurement)| {
            let times = request.token_monotonic_sec.clone();
            times.into_iter().map(move |at| (at, sequence))
        };
        let mut chosen: Vec<(f64, usize)> = wave.iter().enumerate().flat_map(of_sequence).collect();
        chosen.sort_by(|a, b| a.0.total_cmp(&b.0));
        let with_output = wave.iter().filter(|request| !request.token_monotonic_sec.is_empty());
        *self.waves.entry(with_output.count() as u32).or_insert(0) += 1;
        let (mut tokens, mut in_step) = (vec![0_u32; wave.len()], vec![false; wave.len()]);
        for (_, sequence) in chosen {
            if in_step[sequence] {
                self.end_step(wave, &tokens, &mut in_step);
            }
            in_step[sequence] = true;
            tokens[sequence] += 1;
        }
        self.end_step(wave, &tokens, &mut in_step);
    }

    fn end_step(&mut self, wave: &[RequestMeasurement], tokens: &[u32], in_step: &mut [bool]) {
        let sequences = in_step.iter().filter(|is_in| **is_in).count() as u32;
        if sequences > 0 {
            *self.histogram.entry(sequences).or_insert(0) += 1;
        }
        let mut each = wave.iter().zip(tokens).zip(in_step.iter());
        let is_passed_over = |((request, tokens), is_in): &((&RequestMeasurement, &u32), &bool)| {
            !**is_in && **tokens < request.output_tokens
        };
        if let Some(((request, tokens), _)) = each.find(is_passed_over) {
            self.passed_over.get_or_insert(PassedOver {
                prompt_index: request.prompt_index,
                tokens: *tokens,
            });
        }
        in_step.fill(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(prompt_index: u32, at: &[f64]) -> RequestMeasurement {
        RequestMeasurement {
            prompt_index,
            output_tokens: at.len() as u32,
            token_monotonic_sec: at.to_vec(),
            ..RequestMeasurement::default()
        }
    }

    fn steps(count: &StepCount) -> Vec<(u32, u64)> {
        count.histogram().iter().map(|of| (of.sequences, of.steps)).collect()
    }

    #[test]
    fn sequences_that_stay_together_share_every_step_and_one_may_end_earlier() {
        let requests = [
            request(0, &[1.0, 2.0, 3.0]),
            request(1, &[1.1, 2.1, 3.1]),
            // The next wave, of which one ends by itself.
            request(2, &[4.0, 5.0]),
            request(3, &[4.1, 5.1, 6.1]),
            // What is left over.
            request(4, &[7.0]),
        ];
        let count = StepCount::of(&requests, 2);
        assert_eq!(steps(&count), [(2, 5), (1, 2)]);
        // Of three waves the first step is the prefill, of the last one the only step.
        assert_eq!((count.prefills(), count.decodes()), (3, vec![(1, 1), (2, 3)]));
        assert_eq!(count.passed_over, None);
    }

    #[test]
    fn one_that_waits_for_another_was_put_back() {
        let requests = [request(0, &[1.0, 2.0, 3.0]), request(7, &[1.1, 4.0, 5.0])];
        let count = StepCount::of(&requests, 2);
        // Its second token comes with the other's third.
        assert_eq!(steps(&count), [(2, 2), (1, 2)]);
        let expected = PassedOver {
            prompt_index: 7,
            tokens: 1,
        };
        assert_eq!(count.passed_over, Some(expected));
        // Also where it enters late.
        let late = [request(0, &[1.0, 2.0]), request(1, &[1.9, 2.1])];
        assert_eq!(StepCount::of(&late, 2).passed_over, None);
        let later = [request(0, &[1.0, 2.0]), request(1, &[2.1, 2.2])];
        assert_eq!(StepCount::of(&later, 2).passed_over.map(|of| of.tokens), Some(0));
    }

    #[test]
    fn counts_of_ranks_add_up() {
        let mut sum = StepCount::of(&[request(0, &[1.0, 2.0]), request(1, &[1.1, 2.1])], 2);
        sum.add(&StepCount::of(&[request(2, &[1.0])], 2));
        assert_eq!(steps(&sum), [(2, 2), (1, 1)]);
        assert_eq!(steps(&StepCount::of(&[], 4)), []);
    }
}
