use super::no_repeat::NoRepeat;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The method of choosing the next token from the logits.
#[derive(Clone, Debug, PartialEq)]
pub enum Sampling {
    Greedy {
        repetition_penalty: Option<f64>,
    },
    Random {
        temperature: f64,
        top_k: Option<u32>,
        top_p: Option<f64>,
        /// Minimum probability of a token, as a share of the most probable token's.
        min_p: Option<f64>,
        repetition_penalty: Option<f64>,
        seed: u64,
    },
    /// No sequence of `size` tokens occurs twice in prompt and answer.
    NoRepeat {
        size: u32,
        prompt: Vec<u32>,
        /// How the next token is chosen from the remaining ones; never a `NoRepeat`.
        then: Box<Sampling>,
    },
}

impl Sampling {
    /// Returns the repetition penalty; `None` for none.
    pub fn repetition_penalty(&self) -> Option<f64> {
        match self {
            Self::Greedy { repetition_penalty } | Self::Random { repetition_penalty, .. } => *repetition_penalty,
            Self::NoRepeat { then, .. } => then.repetition_penalty(),
        }
    }
}

/// Chooses the tokens of one sequence. mistral.rs has no seed for a request, so that tokens are chosen here. The
/// Gumbel-max trick draws from the softmax of the logits by taking the maximum of logit + Gumbel noise, so that one
/// seeded stream determines the sequence.
pub struct TokenChooser {
    sampling: Sampling,
    no_repeat: Option<NoRepeat>,
    noise: Option<ChaCha8Rng>,
    masked_until: u32,
    end_tokens: Vec<u32>,
    chosen: u32,
}

impl TokenChooser {
    /// Creates a chooser that masks `end_tokens` until `min_output_tokens` tokens have been chosen.
    pub fn new(sampling: Sampling, min_output_tokens: u32, end_tokens: Vec<u32>) -> Self {
        let (sampling, no_repeat) = match sampling {
            Sampling::NoRepeat { size, prompt, then } => (*then, Some(NoRepeat::new(size, prompt))),
            other => (other, None),
        };
        let noise = match &sampling {
            Sampling::Greedy { .. } | Sampling::NoRepeat { .. } => None,
            Sampling::Random { seed, .. } => Some(ChaCha8Rng::seed_from_u64(*seed)),
        };
        Self {
            sampling,
            no_repeat,
            noise,
            masked_until: min_output_tokens,
            end_tokens,
            chosen: 0,
        }
    }

    /// Returns the next token; `None` where no logit is a finite number, which means that the model computed nonsense.
    pub fn choose(&mut self, logits: &mut [f32]) -> Option<u32> {
        if self.chosen < self.masked_until {
            for token in &self.end_tokens {
                if let Some(logit) = logits.get_mut(*token as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        self.chosen += 1;
        if let Some(no_repeat) = &self.no_repeat {
            no_repeat.mask(logits);
        }
        let token = match (&self.sampling, &mut self.noise) {
            (Sampling::Random { .. }, Some(noise)) => sample(logits, &self.sampling, noise),
            _ => argmax(logits),
        }?;
        if let Some(no_repeat) = &mut self.no_repeat {
            no_repeat.push(token);
        }
        Some(token)
    }
}

/// Returns the first of the largest logits. Two passes, which the compiler vectorises: this runs for every token over
/// the whole vocabulary, within the measured time.
fn argmax(logits: &[f32]) -> Option<u32> {
    const LANES: usize = 16;
    let mut largest = [f32::NEG_INFINITY; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, logit) in largest.iter_mut().zip(chunk) {
            *lane = if *logit > *lane { *logit } else { *lane };
        }
    }
    let best = largest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    let position = logits
        .iter()
        .position(|logit| *logit == best && *logit > f32::NEG_INFINITY)?;
    Some(position as u32)
}

fn sample(logits: &[f32], sampling: &Sampling, noise: &mut ChaCha8Rng) -> Option<u32> {
    let &Sampling::Random {
        temperature,
        top_k,
        top_p,
        min_p,
        ..
    } = sampling
    else {
        return None;
    };
    let finite = logits.iter().enumerate().filter(|(_, logit)| logit.is_finite());
    let largest = finite
        .clone()
        .map(|(_, logit)| *logit)
        .fold(f32::NEG_INFINITY, f32::max);
    // Relative to the largest logit, so that the most probable token has a finite value at any temperature.
    let scaled = |logit: f32| (f64::from(logit) - f64::from(largest)) / temperature;
    let mut candidates = finite
        .map(|(token, logit)| (token as u32, scaled(*logit)))
        .collect::<Vec<_>>();
    // The most probable token has 0, so that this compares probabilities; after the temperature, as in vLLM and in
    // llama.cpp's default order.
    if let Some(min_p) = min_p {
        let least = min_p.ln();
        candidates.retain(|(_, logit)| *logit >= least);
    }
    if top_k.is_some() || top_p.is_some() {
        candidates.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        candidates.truncate(top_k.map_or(usize::MAX, |k| k as usize));
    }
    if let (Some(top_p), Some(largest)) = (top_p, candidates.first().map(|(_, logit)| *logit)) {
        let weights = candidates
            .iter()
            .map(|(_, logit)| (logit - largest).exp())
            .collect::<Vec<_>>();
        let enough = top_p * weights.iter().sum::<f64>();
        let mut sum = 0.0;
        let kept = weights.iter().take_while(|weight| {
            let needed = sum < enough;
            sum += **weight;
            needed
        });
        let kept = kept.count().max(1);
        candidates.truncate(kept);
    }
    candidates
        .into_iter()
        .map(|(token, logit)| {
            // 1 − u lies in (0, 1]. A logarithm of 0 is extremely rare and gives −∞ or +∞.
            let uniform: f64 = 1.0 - noise.random::<f64>();
            (token, logit - (-uniform.ln()).ln())
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(token, _)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64, top_k: Option<u32>, top_p: Option<f64>) -> Sampling {
        Sampling::Random {
            temperature: 1.0,
            top_k,
            top_p,
            min_p: None,
            repetition_penalty: None,
            seed,
        }
    }

    #[test]
    fn min_p_keeps_the_tokens_that_are_probable_enough() {
        let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()];
        for (min_p, kept) in [(0.5, 2), (0.61, 1), (0.39, 3), (1.0, 1)] {
            let mut sampling = random(3, None, None);
            if let Sampling::Random { min_p: of_it, .. } = &mut sampling {
                *of_it = Some(min_p);
            }
            let mut chooser = TokenChooser::new(sampling, 0, vec![]);
            let drawn: std::collections::BTreeSet<_> =
                (0..500).map(|_| chooser.choose(&mut logits.clone()).unwrap()).collect();
            assert_eq!(drawn, (0..kept).collect(), "{min_p}");
        }
    }

    #[test]
    fn no_sequence_of_the_prompt_or_the_answer_is_repeated() {
        let greedy = |size, prompt: &[u32]| Sampling::NoRepeat {
            size,
            prompt: prompt.to_vec(),
            then: Box::new(Sampling::Greedy {
                repetition_penalty: None,
            }),
        };
        let answer = |sampling| {
            let mut chooser = TokenChooser::new(sampling, 0, vec![]);
            (0..5)
                .map_while(|_| chooser.choose(&mut [4.0, 3.0, 2.0, 1.0]))
                .collect::<Vec<_>>()
        };
        // The token that followed a token, or a pair of tokens, does not follow it again.
        assert_eq!(answer(greedy(2, &[9, 0, 9])), [1, 0, 0, 1, 1]);
        assert_eq!(answer(greedy(3, &[])), [0, 0, 0, 1, 0]);
        // Each token once, until none is left.
        assert_eq!(answer(greedy(1, &[2])), [0, 1, 3]);
    }

    #[test]
    fn end_tokens_are_masked_until_the_minimum_is_reached() {
        let mut chooser = TokenChooser::new(
            Sampling::Greedy {
                repetition_penalty: None,
            },
            2,
            vec![0],
        );
        let logits = [9.0_f32, 1.0, 2.0];
        let tokens = (0..3)
            .map(|_| chooser.choose(&mut logits.clone()).unwrap())
            .collect::<Vec<_>>();
        assert_eq!(tokens, [2, 2, 0]);
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens_and_another_seed_others() {
        let draw = |seed| {
            let mut chooser = TokenChooser::new(random(seed, None, None), 0, vec![]);
            (0..64)
                .map(|_| chooser.choose(&mut [0.0; 100]).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn draws_follow_the_softmax() {
        let probabilities = [0.5_f64, 0.3, 0.2];
        let logits = probabilities.map(|p| p.ln() as f32);
        let mut chooser = TokenChooser::new(random(7, None, None), 0, vec![]);
        let mut counts = [0_u32; 3];
        for _ in 0..30_000 {
            counts[chooser.choose(&mut logits.clone()).unwrap() as usize] += 1;
        }
        for (count, probability) in counts.iter().zip(probabilities) {
            // Five standard deviations of a binomial share at 30,000 draws are below 0.0145.
            assert!((f64::from(*count) / 30_000.0 - probability).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn top_k_and_top_p_keep_only_the_most_probable_tokens() {
        let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()];
        for sampling in [random(3, Some(2), None), random(3, None, Some(0.6))] {
            let mut chooser = TokenChooser::new(sampling, 0, vec![]);
            let drawn = (0..500)
                .map(|_| chooser.choose(&mut logits.clone()).unwrap())
                .collect::<Vec<_>>();
            assert!(drawn.iter().all(|token| *token < 2) && drawn.contains(&1));
        }
    }

    #[test]
    fn very_low_temperatures_choose_greedily() {
        for temperature in [1e-6, 1e-30, f64::MIN_POSITIVE, 5e-324] {
            for (top_k, top_p) in [(None, None), (Some(2), None), (None, Some(0.9))] {
                let sampling = Sampling::Random {
                    temperature,
                    top_k,
                    top_p,
                    min_p: None,
                    repetition_penalty: None,
                    seed: 1,
                };
                let mut chooser = TokenChooser::new(sampling, 0, vec![]);
                for best in [2, 0, 3, 1] {
                    let mut logits = [8.0, 7.5, -3.0, 8.5];
                    logits[best] = 9.0;
                    assert_eq!(
                        chooser.choose(&mut logits),
                        Some(best as u32),
                        "{temperature} {top_k:?} {top_p:?}"
                    );
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn greedy_takes_the_first_of_the_largest(logits in proptest::collection::vec(-3_i8..3, 1..100)) {
            let mut logits = logits.into_iter().map(f32::from).collect::<Vec<_>>();
            let expected = (0..logits.len()).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32;
            let mut chooser = TokenChooser::new(Sampling::Greedy { repetition_penalty: None }, 0, vec![]);
            proptest::prop_assert_eq!(chooser.choose(&mut logits), Some(expected));
        }
    }

    #[test]
    fn logits_that_are_no_numbers_choose_nothing() {
        let mut chooser = TokenChooser::new(
            Sampling::Greedy {
                repetition_penalty: None,
            },
            0,
            vec![],
        );
        assert_eq!(chooser.choose(&mut [f32::NAN; 4]), None);
        let mut chooser = TokenChooser::new(random(3, None, None), 0, vec![]);
        assert_eq!(chooser.choose(&mut [f32::NAN; 4]), None);
    }
}
