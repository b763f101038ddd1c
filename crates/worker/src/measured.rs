use joulemark_measurement::RequestMeasurement;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;

use crate::inference::{FinishReason, Generated};

/// Returns the measurement of a request that an engine in this process answered.
pub fn measurement(prompt_index: u32, input_tokens: u32, generated: Generated) -> RequestMeasurement {
    let ttft_ms = generated
        .chosen_at
        .first()
        .map(|first| first.sec_since(generated.sent_at) * MILLISECONDS_PER_SECOND);
    RequestMeasurement {
        prompt_index,
        input_tokens,
        output_tokens: generated.token_ids.len() as u32,
        sent_monotonic_sec: generated.sent_at.as_sec(),
        completed_monotonic_sec: generated.completed_at.as_sec(),
        ttft_ms,
        token_monotonic_sec: generated.chosen_at.iter().map(|at| at.as_sec()).collect(),
        output_token_ids: generated.token_ids,
        finish_reason: match generated.finish_reason {
            FinishReason::Length => "length".to_owned(),
            FinishReason::Stop => "stop".to_owned(),
        },
        ..RequestMeasurement::default()
    }
}
