//! A tap that sees the logits of every step of one sequence. Owns the times and the tokens. It does not change the
//! logits where the engine's own choice is the requested one, so that it costs almost nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use joulemark_measurement::clock::Monotonic;
use joulemark_worker::inference::{Compare, TokenChooser, TokenCounter, TopLogits};
use mistralrs::{CustomLogitsProcessor, Tensor};

/// Tokens, the time of each choice, and recorded logits.
pub type Taken = (Vec<u32>, Vec<Monotonic>, Vec<TopLogits>);

/// A logits processor for one sequence.
pub struct TokenTap {
    state: Mutex<State>,
    counter: TokenCounter,
}

struct State {
    mode: Mode,
    token_ids: Vec<u32>,
    chosen_at: Vec<Monotonic>,
    top_logits: Vec<TopLogits>,
}

enum Mode {
    /// The engine chooses the largest logit, and the last of equal ones.
    Watching {
        /// Logits of the last step, whose token no later step shows.
        last: Option<Tensor>,
        /// Whether every step's logits are checked for NaN.
        looks: bool,
    },
    /// The tap chooses and leaves the engine no other choice.
    Choosing(Box<TokenChooser>, Compare),
}

impl TokenTap {
    /// Creates a tap that leaves the choice to the engine. `looks` checks every step's logits, which copies them.
    pub fn watching(most_tokens: usize, looks: bool, counter: TokenCounter) -> Self {
        Self::new(Mode::Watching { last: None, looks }, most_tokens, counter)
    }

    /// Creates a tap that chooses tokens with `chooser`, or those of `compare`.
    pub fn choosing(chooser: TokenChooser, compare: Compare, most_tokens: usize, counter: TokenCounter) -> Self {
        Self::new(Mode::Choosing(Box::new(chooser), compare), most_tokens, counter)
    }

    fn new(mode: Mode, most_tokens: usize, counter: TokenCounter) -> Self {
        Self {
            state: Mutex::new(State {
                mode,
                token_ids: Vec::with_capacity(most_tokens),
                chosen_at: Vec::with_capacity(most_tokens),
                top_logits: Vec::new(),
            }),
            counter,
        }
    }

    /// Returns what was recorded after the sequence has ended.
    ///
    /// # Errors
    /// Returns a message where a logit of the last step is NaN.
    pub fn taken(&self) -> Result<Taken, String> {
        let mut state = self.lock();
        if let Mode::Watching { last, .. } = &mut state.mode
            && let Some(last) = last.take()
        {
            let logits = last.to_vec1::<f32>().map_err(|error| error.to_string())?;
            let token = largest(&logits).ok_or(NO_NUMBER)?;
            state.token_ids.push(token);
        }
        Ok((
            std::mem::take(&mut state.token_ids),
            std::mem::take(&mut state.chosen_at),
            std::mem::take(&mut state.top_logits),
        ))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NO_NUMBER: &str = "a logit is not a number: the model computed nonsense";

impl CustomLogitsProcessor for TokenTap {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> mistralrs::Result<Tensor> {
        let mut state = self.lock();
        let answered = state.see(logits, context)?;
        state.chosen_at.push(Monotonic::now());
        self.counter.add_one();
        Ok(answered)
    }
}

impl State {
    fn see(&mut self, logits: &Tensor, context: &[u32]) -> mistralrs::Result<Tensor> {
        match &mut self.mode {
            Mode::Watching { last, looks } => {
                if *looks && largest(&logits.to_vec1::<f32>()?).is_none() {
                    candle_core::bail!("{NO_NUMBER}");
                }
                // The token of the previous step is at the end of the context.
                if last.replace(logits.clone()).is_some() {
                    self.token_ids.extend(context.last());
                }
                Ok(logits.clone())
            }
            Mode::Choosing(chooser, compare) => {
                let mut values = logits.to_vec1::<f32>()?;
                let kept = match compare {
                    Compare::No => None,
                    Compare::Keep => TopLogits::of(&values),
                    Compare::With(kept) => kept.get(self.token_ids.len()).map(|kept| kept.again(&values)),
                };
                let forced = kept.as_ref().map(|kept| kept.token);
                let Some(token) = forced.or_else(|| chooser.choose(&mut values)) else {
                    candle_core::bail!("{NO_NUMBER}");
                };
                values.fill(f32::NEG_INFINITY);
                values[token as usize] = 0.0;
                self.token_ids.push(token);
                self.top_logits.extend(kept);
                Tensor::from_vec(values, logits.shape(), logits.device())
            }
        }
    }
}

/// Returns the last of the largest logits, like mistral.rs 0.8.1; `None` where a logit is NaN, or none is finite.
fn largest(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (token, logit) in (0..).zip(logits) {
        if logit.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, largest)| *logit >= largest) {
            best = Some((token, *logit));
        }
    }
    best.filter(|(_, logit)| logit.is_finite()).map(|(token, _)| token)
}

#[cfg(test)]
mod tests {
    use joulemark_worker::inference::Sampling;
    use mistralrs::Device;

    use super::*;

    fn logits(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, values.len(), &Device::Cpu).expect("a tensor")
    }

    #[test]
    fn the_engines_choices_are_read_from_the_context_and_the_last_from_its_logits() {
        let tap = TokenTap::watching(3, false, TokenCounter::default());
        let mut context = vec![7, 8];
        for (step, chosen) in [([0.0, 5.0, 1.0], 1), ([2.0, 0.0, 2.0], 2), ([0.0, 3.0, 3.0], 2)] {
            let given = logits(&step);
            let answered = tap.apply(&given, &context).expect("numbers");
            assert_eq!(answered.to_vec1::<f32>().expect("a vector"), step);
            context.push(chosen);
        }
        let (token_ids, chosen_at, top_logits) = tap.taken().expect("numbers");
        assert_eq!((token_ids, chosen_at.len(), top_logits.len()), (vec![1, 2, 2], 3, 0));
    }

    #[test]
    fn nan_fails_at_once_where_logits_are_checked_and_at_the_end_otherwise() {
        let broken = logits(&[0.0, f32::NAN]);
        let tap = TokenTap::watching(1, true, TokenCounter::default());
        assert!(tap.apply(&broken, &[]).is_err());
        let tap = TokenTap::watching(1, false, TokenCounter::default());
        tap.apply(&broken, &[]).expect("it is not checked");
        assert_eq!(tap.taken().expect_err("no number"), NO_NUMBER);
    }

    #[test]
    fn tokens_are_forced_and_their_logits_compared() {
        let greedy = || {
            let sampling = Sampling::Greedy {
                repetition_penalty: None,
            };
            TokenChooser::new(sampling, 0, Vec::new())
        };
        let tap = TokenTap::choosing(greedy(), Compare::Keep, 1, TokenCounter::default());
        tap.apply(&logits(&[1.0, 4.0, 2.0]), &[]).expect("numbers");
        let (token_ids, _, kept) = tap.taken().expect("numbers");
        assert_eq!((token_ids, kept[0].tokens()), (vec![1], vec![1, 2, 0]));
        let tap = TokenTap::choosing(greedy(), Compare::With(kept), 1, TokenCounter::default());
        let answered = tap.apply(&logits(&[9.0, 4.5, 2.0]), &[]).expect("numbers");
        assert_eq!(
            largest(&answered.to_vec1::<f32>().expect("a vector")),
            Some(1),
            "forced"
        );
        let (token_ids, _, again) = tap.taken().expect("numbers");
        assert_eq!(token_ids, [1]);
        assert_eq!(again[0].logits, [(1, 4.5), (2, 2.0), (0, 9.0)]);
    }
}
