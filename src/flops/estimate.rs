use serde::Serialize;
use utoipa::ToSchema;

use super::count::{Flops, RequestTokens, count_request};
use super::shape::ModelShape;
use crate::measurement::{ComputeMetrics, Confidence};

/// How a FLOPs figure was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlopsMethod {
    /// Every matrix product of the family's formulas, over the request's real lengths.
    Architecture,
    /// 2 × parameters × tokens.
    ParameterEstimate,
}

impl FlopsMethod {
    /// The word that results carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Architecture => "architecture",
            Self::ParameterEstimate => "parameter_estimate",
        }
    }
}

/// FLOPs of some requests with how far they may be trusted.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FlopsEstimate {
    /// FLOPs, 2 a multiply-add, matrix products only; null when nothing could be counted. Exact up to 2⁵³.
    pub flops_total: Option<f64>,
    /// The part of prefill in FLOPs; null where the method does not tell.
    pub flops_prefill: Option<f64>,
    /// The part of the decode steps in FLOPs; null where the method does not tell.
    pub flops_decode: Option<f64>,
    pub flops_method: Option<FlopsMethod>,
    /// `medium` for the architecture, `low` for the estimate by parameters.
    pub flops_confidence: Option<Confidence>,
    /// The assumptions, or why there is no figure.
    pub note: Option<String>,
}

/// The best way to count a model's FLOPs, chosen once when the model is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Estimator {
    Architecture(ModelShape),
    /// `basis` says in words where the count comes from, e.g. "the tensors' sizes".
    Parameters {
        count: u64,
        basis: String,
    },
    Unknown {
        reason: String,
    },
}

impl Estimator {
    /// FLOPs of the requests together, prefill with the last position's logits.
    pub fn estimate(&self, requests: &[RequestTokens]) -> FlopsEstimate {
        match self {
            Self::Architecture(shape) => by_architecture(shape, requests),
            Self::Parameters { count, basis } => by_parameters(*count, basis, requests),
            Self::Unknown { reason } => FlopsEstimate {
                flops_total: None,
                flops_prefill: None,
                flops_decode: None,
                flops_method: None,
                flops_confidence: None,
                note: Some(reason.clone()),
            },
        }
    }
}

impl FlopsEstimate {
    /// The figures as results carry them; the rate is null when the time is unknown or not positive.
    pub fn compute_metrics(&self, inference_time_sec: Option<f64>) -> ComputeMetrics {
        let seconds = inference_time_sec.filter(|seconds| *seconds > 0.0);
        ComputeMetrics {
            flops_total: self.flops_total,
            flops_per_second: self.flops_total.zip(seconds).map(|(flops, seconds)| flops / seconds),
            flops_method: self.flops_method.map(|method| method.as_str().to_owned()),
            flops_confidence: self.flops_confidence,
        }
    }
}

fn by_architecture(shape: &ModelShape, requests: &[RequestTokens]) -> FlopsEstimate {
    let flops: Flops = requests.iter().map(|tokens| count_request(shape, *tokens)).sum();
    let longest = requests
        .iter()
        .map(|tokens| u64::from(tokens.input) + u64::from(tokens.output))
        .max();
    let slides = shape
        .sliding_window
        .filter(|window| longest.is_some_and(|longest| longest > *window));
    FlopsEstimate {
        flops_total: Some(flops.total() as f64),
        flops_prefill: Some(flops.prefill as f64),
        flops_decode: Some(flops.decode as f64),
        flops_method: Some(FlopsMethod::Architecture),
        flops_confidence: Some(Confidence::Medium),
        note: slides.map(|window| {
            format!(
                "attention is counted over the whole context, though some layers may look back {window} tokens only"
            )
        }),
    }
}

// The methodology's `2 × params × tokens`, tokens being input and output together.
fn by_parameters(count: u64, basis: &str, requests: &[RequestTokens]) -> FlopsEstimate {
    let tokens: u128 = requests
        .iter()
        .map(|tokens| u128::from(tokens.input) + u128::from(tokens.output))
        .sum();
    FlopsEstimate {
        flops_total: Some(2.0 * count as f64 * tokens as f64),
        flops_prefill: None,
        flops_decode: None,
        flops_method: Some(FlopsMethod::ParameterEstimate),
        flops_confidence: Some(Confidence::Low),
        note: Some(format!(
            "2 x {count} parameters x {tokens} input and output tokens, parameters from {basis}; attention is left out"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{Estimator, FlopsMethod, RequestTokens};
    use crate::flops::from_config_json;
    use crate::measurement::Confidence;

    const REQUEST: RequestTokens = RequestTokens { input: 100, output: 20 };

    #[test]
    fn the_architecture_is_trusted_more_than_the_parameters() {
        let shape = from_config_json(&serde_json::json!({"model_type": "llama"})).unwrap();
        let architecture = Estimator::Architecture(shape).estimate(&[REQUEST]);
        let parameters = Estimator::Parameters {
            count: 7_000_000_000,
            basis: "the name".into(),
        }
        .estimate(&[REQUEST]);
        assert_eq!(architecture.flops_method, Some(FlopsMethod::Architecture));
        assert_eq!(architecture.flops_confidence, Some(Confidence::Medium));
        assert_eq!(parameters.flops_confidence, Some(Confidence::Low));
        assert_eq!(parameters.flops_total, Some(2.0 * 7e9 * 120.0));
        assert_eq!(
            architecture.compute_metrics(Some(2.0)).flops_method.as_deref(),
            Some("architecture")
        );
    }

    #[test]
    fn what_is_unknown_stays_null_and_says_why() {
        let estimate = Estimator::Unknown {
            reason: "no parameters".into(),
        }
        .estimate(&[REQUEST]);
        assert_eq!(
            (estimate.flops_total, estimate.note.as_deref()),
            (None, Some("no parameters"))
        );
    }

    #[test]
    fn a_rate_without_a_time_is_null() {
        let estimate = Estimator::Parameters {
            count: 1,
            basis: "a test".into(),
        }
        .estimate(&[REQUEST]);
        assert_eq!(estimate.compute_metrics(Some(0.0)).flops_per_second, None);
        assert_eq!(estimate.compute_metrics(None).flops_per_second, None);
        assert_eq!(estimate.compute_metrics(Some(2.0)).flops_per_second, Some(120.0));
    }

    #[test]
    fn a_context_beyond_the_sliding_window_is_noted() {
        let config = serde_json::json!({"model_type": "mistral", "sliding_window": 110});
        let estimator = Estimator::Architecture(from_config_json(&config).unwrap());
        assert!(estimator.estimate(&[REQUEST]).note.is_some());
        assert!(
            estimator
                .estimate(&[RequestTokens { input: 10, output: 20 }])
                .note
                .is_none()
        );
    }
}
