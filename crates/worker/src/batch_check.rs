//! Checks that each sequence of a batch comes out as it does alone. Owns the bound on differences of logits; how an
//! engine batches is left to the engine.

use futures::future::try_join_all;
use joulemark_measurement::{BatchCheck, BatchVerdict, RequestMeasurement, StepCount};

use crate::inference::{Compare, Engine, EngineError, Generated, Generation, Sampling, TopLogits};
use crate::job::PreparedPrompt;
use crate::measured::measurement;
use crate::together::begin_together;

/// Number of steps that are compared for each sequence, where the model's context has room for them.
const STEPS: u32 = 16;

/// Runs each prompt of one wave alone and records its tokens and logits, then runs the wave with these tokens forced,
/// so that every step can be compared. Returns `None` for fewer than two prompts.
///
/// # Errors
/// Returns [`EngineError::Batch`] where a sequence comes out differently in the batch, or where the batch does not stay
/// together.
pub async fn batch_check<E: Engine>(engine: &E, wave: Vec<PreparedPrompt>) -> Result<Option<BatchCheck>, EngineError> {
    if wave.len() < 2 {
        return Ok(None);
    }
    let longest = wave.iter().map(|prompt| prompt.tokens.len() as u32).max().unwrap_or(0);
    let steps = STEPS
        .min(engine.description().max_sequence_tokens.saturating_sub(longest))
        .max(1);
    let generation = |prompt: &PreparedPrompt, compare: Compare| Generation {
        tokens: prompt.tokens.clone(),
        max_output_tokens: steps,
        min_output_tokens: steps,
        sampling: Sampling::Greedy {
            repetition_penalty: None,
        },
        compare,
    };
    let mut alone = Vec::new();
    for prompt in &wave {
        alone.push(engine.generate(generation(prompt, Compare::Keep)).await?.top_logits);
    }
    let forced = wave.iter().zip(&alone).map(|(prompt, kept)| {
        let generation = generation(prompt, Compare::With(kept.clone()));
        engine.generate(generation)
    });
    let held = engine.hold().await;
    let together = begin_together(held, try_join_all(forced)).await?;
    stay_together(&wave, &together)?;
    let check = compared(&alone, &together, &engine.description().activation_dtype)?;
    match check.verdict {
        BatchVerdict::Passed => Ok(Some(check)),
        BatchVerdict::Failed => Err(EngineError::Batch(format!(
            "a sequence in it does not come out as it does alone: of {} tokens, logits differ by up to {:.3e}, accepted is \
             {:.3e}",
            check.compared_tokens, check.largest_difference, check.bound
        ))),
    }
}

/// Checks that the engine decoded all sequences of the wave together.
fn stay_together(wave: &[PreparedPrompt], together: &[Generated]) -> Result<(), EngineError> {
    let requests: Vec<RequestMeasurement> = wave
        .iter()
        .zip(together)
        .map(|(prompt, generated)| measurement(prompt.index, prompt.tokens.len() as u32, generated.clone()))
        .collect();
    match StepCount::of(&requests, wave.len() as u32).passed_over {
        None => Ok(()),
        Some(of) => Err(EngineError::Batch(format!(
            "the engine put prompt {} back after {} tokens while others of its batch went on, and computed it anew",
            of.prompt_index, of.tokens
        ))),
    }
}

/// For each number type, the number of roundings by which logits may differ, and the size of one: half of the distance
/// between 1 and the next number. Sums in another order differ by a few roundings in each layer; 32-bit sums of
/// thousands of products by more, but tiny, roundings.
const ROUNDINGS: [(&str, f64, f64); 3] = [
    ("f32", 4096.0, 1.0 / (1u64 << 24) as f64),
    ("f16", 64.0, 1.0 / (1u64 << 11) as f64),
    ("bf16", 16.0, 1.0 / (1u64 << 8) as f64),
];

/// Compares the logits of each sequence alone and in the batch.
///
/// # Errors
/// Returns [`EngineError::Batch`] where the engine did not choose the forced tokens.
fn compared(alone: &[Vec<TopLogits>], together: &[Generated], dtype: &str) -> Result<BatchCheck, EngineError> {
    let (mut largest_difference, mut largest_logit, mut compared_tokens) = (0.0_f64, 0.0_f64, 0);
    for (kept, generated) in alone.iter().zip(together) {
        let same_tokens = kept
            .iter()
            .zip(&generated.token_ids)
            .filter(|(kept, id)| kept.token == **id);
        if same_tokens.count() != kept.len() || generated.top_logits.len() != kept.len() {
            return Err(EngineError::Batch(
                "the engine chose other tokens than the forced ones".to_owned(),
            ));
        }
        for (one, other) in kept.iter().zip(&generated.top_logits) {
            compared_tokens += 1;
            for ((_, one), (_, other)) in one.logits.iter().zip(&other.logits) {
                let difference = (f64::from(*one) - f64::from(*other)).abs();
                // NaN counts as an infinite difference.
                largest_difference = if difference.is_nan() {
                    f64::INFINITY
                } else {
                    largest_difference.max(difference)
                };
                largest_logit = largest_logit.max(f64::from(*one).abs());
            }
        }
    }
    let known = ROUNDINGS.iter().find(|(name, ..)| dtype.eq_ignore_ascii_case(name));
    let (_, roundings, rounding) = known.unwrap_or(&ROUNDINGS[0]);
    let bound = roundings * rounding * largest_logit;
    Ok(BatchCheck {
        verdict: match largest_difference <= bound {
            true => BatchVerdict::Passed,
            false => BatchVerdict::Failed,
        },
        compared_tokens,
        largest_difference,
        bound,
    })
}
