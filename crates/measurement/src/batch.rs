//! Statistics of sequences that an engine decodes together: whether they shared every decoding step, and whether each
//! one came out as it does alone. Pure functions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RequestMeasurement;

/// Number of decoding steps with a given number of sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchSteps {
    /// Number of sequences that got a token in each of these steps.
    pub sequences: u32,
    /// Number of decoding steps.
    pub steps: u64,
}

/// Result of comparing a batch with its sequences computed one by one, with the same tokens forced on both. Done before
/// the first warm-up, outside every measured window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchCheck {
    /// Verdict; an experiment whose check fails has no result.
    pub verdict: BatchVerdict,
    /// Number of tokens whose logits were compared.
    pub compared_tokens: u32,
    /// Largest difference between a logit in the batch and the same logit alone, among the eight largest logits of each
    /// token.
    pub largest_difference: f64,
    /// Maximum allowed difference: a number of rounding steps of the activations' type, at the size of the largest
    /// logit.
    pub bound: f64,
}

/// Verdict on a batch.
///
/// - `passed`: no logit differed by more than the bound
/// - `failed`: a logit differed by more than the bound
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BatchVerdict {
    Passed,
    Failed,
}

/// A sequence that got no token in a step in which others of its wave did, and more tokens later: the engine preempted
/// it and computed it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Position of its prompt in the experiment's prompt list, from 0.
    pub prompt_index: u32,
    /// Number of tokens that it had by then.
    pub tokens: u32,
}

/// Decoding steps counted over waves of sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepCount {
    /// Number of steps by their number of sequences.
    histogram: BTreeMap<u32, u64>,
    /// Number of waves by their number of sequences. The first step of each wave is its prefill.
    waves: BTreeMap<u32, u64>,
    /// First sequence that was preempted; `None` where none was.
    pub passed_over: Option<PassedOver>,
}

impl StepCount {
    /// Counts the steps of `requests`, which are sorted by prompt and were sent in waves of `batch_size`.
    ///
    /// An engine that decodes sequences together chooses one token of each before it chooses the next token of any. A
    /// step therefore ends where a sequence gets its second token.
    pub fn of(requests: &[RequestMeasurement], batch_size: u32) -> Self {
        let mut count = Self::default();
        for wave in requests.chunks(batch_size.max(1) as usize) {
            count.add_wave(wave);
        }
        count
    }

    /// Adds the steps of another rank or cycle.
    pub fn add(&mut self, other: &Self) {
        for (sequences, steps) in &other.histogram {
            *self.histogram.entry(*sequences).or_insert(0) += steps;
        }
        for (sequences, waves) in &other.waves {
            *self.waves.entry(*sequences).or_insert(0) += waves;
        }
        self.passed_over = self.passed_over.or(other.passed_over);
    }

    /// Returns the number of prefill passes, one for each wave.
    pub fn prefills(&self) -> u64 {
        self.waves.values().sum()
    }

    /// Lists the number of steps after the prefill for each number of sequences, fewest sequences first.
    pub fn decodes(&self) -> Vec<(u32, u64)> {
        let prefills = |sequences| self.waves.get(sequences).copied().unwrap_or(0);
        let each = self.histogram.iter();
        each.map(|(sequences, steps)| (*sequences, steps.saturating_sub(prefills(sequences))))
            .filter(|(_, steps)| *steps > 0)
            .collect()
    }

    /// Lists the number of steps for each number of sequences, most sequences first.
    pub fn histogram(&self) -> Vec<BatchSteps> {
        let each = self.histogram.iter().rev();
        each.map(|(sequences, steps)| BatchSteps {
            sequences: *sequences,
            steps: *steps,
        })
        .collect()
    }

    /// Adds the steps of one wave.
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

    /// Ends a step: counts its sequences and notes a sequence that was preempted.
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
            // In the next wave one sequence ends earlier.
            request(2, &[4.0, 5.0]),
            request(3, &[4.1, 5.1, 6.1]),
            // The last wave is incomplete.
            request(4, &[7.0]),
        ];
        let count = StepCount::of(&requests, 2);
        assert_eq!(steps(&count), [(2, 5), (1, 2)]);
        // The first step of each of the three waves is its prefill; it is the only step of the last wave.
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
        // A sequence may start within the first step; one that starts later was passed over.
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
