use serde::Serialize;

use super::count::Flops;
use super::schedule::Schedule;
use super::shortened::shortened;
use super::traffic::Traffic;
use super::walk::Walk;
use joulemark_measurement::Confidence;

/// Method by which FLOPs were counted.
///
/// - `traced`: every operator of the model over the schedule that was run, with every tensor of its files assigned to
///   an operator
/// - `architecture`: the same by the family's formulas, without such a check; for an unknown family 2 × parameters ×
///   tokens, with the parameters counted from the tensors of a plain stack of layers
/// - `parameter_estimate`: 2 × parameters × tokens, with the parameters from file sizes, from a name, or from tensors
///   of which it is unknown how many each token uses
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FlopsMethod {
    Traced,
    Architecture,
    ParameterEstimate,
}

impl FlopsMethod {
    /// Returns the method's name in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traced => "traced",
            Self::Architecture => "architecture",
            Self::ParameterEstimate => "parameter_estimate",
        }
    }

    /// Returns the highest confidence in a figure of this method: high for `traced`, medium for `architecture`, low for
    /// `parameter_estimate`.
    pub fn confidence(self) -> Confidence {
        match self {
            Self::Traced => Confidence::High,
            Self::Architecture => Confidence::Medium,
            Self::ParameterEstimate => Confidence::Low,
        }
    }
}

/// FLOPs and bytes of one schedule, with the method by which they were counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlopsEstimate {
    /// FLOPs of the matrix products; `None` when nothing could be counted.
    pub flops_total: Option<u128>,
    /// Parts of `flops_total`; `None` when only parameters are known.
    pub flops: Option<Flops>,
    /// 2 × active parameters × input and output tokens, a common approximation.
    pub flops_two_params_tokens: Option<u128>,
    /// Number of parameters of the whole model; a tied lm_head counts once.
    pub params_total: Option<u128>,
    /// Number of parameters that one token uses: all but those of experts that are not chosen.
    pub params_active: Option<u128>,
    /// Method of the count; `None` when nothing could be counted.
    pub method: Option<FlopsMethod>,
    /// Confidence in the count; `None` when nothing could be counted.
    pub confidence: Option<Confidence>,
    /// Bytes read; `None` where the weights' types are unknown.
    pub traffic: Option<Traffic>,
    /// Number of input and output tokens of all requests; input tokens only where the model generates no text.
    pub total_tokens: u128,
    /// Assumptions, or the reason why there is no figure.
    pub notes: Vec<String>,
}

/// Most precise way to count a model's FLOPs, chosen once when the model is opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Estimator {
    /// Counts by the model's operators: `traced` or `architecture`.
    Walk(Box<Walk>),
    /// Counts 2 × parameters × tokens.
    Parameters(Parameters),
    /// Counts nothing.
    Unknown {
        /// Reason why nothing can be counted, in words.
        reason: String,
    },
}

/// Number of parameters of a model whose operators are unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Number of all parameters; `None` where only those that one token uses are known.
    pub total: Option<u64>,
    /// Number of parameters that one token uses; `None` where it is all of them, or unknown.
    pub active: Option<u64>,
    /// `architecture` where the tensors were counted and each token uses all of them or a known share; else
    /// `parameter_estimate`.
    pub method: FlopsMethod,
    /// Origin of the count in words, such as "the tensors' sizes, because …".
    pub basis: String,
}

impl Estimator {
    /// Counts FLOPs and bytes of a schedule. `cache_bytes_per_element` is the size of an element of the key-value
    /// cache.
    ///
    /// ```
    /// use joulemark_flops::{Estimator, Logits, Naming, RequestTokens, Schedule, Walk, from_config_json};
    ///
    /// let config = serde_json::json!({"model_type": "llama", "num_key_value_heads": 8});
    /// // 16 bits a weight; no tensors are at hand.
    /// let walk = Walk::new(from_config_json(&config)?, Naming::HuggingFace, &[], Some(16.0));
    /// let tokens = RequestTokens { input: 512, output: 128 };
    /// let estimate = Estimator::Walk(Box::new(walk)).estimate(&Schedule::uniform(tokens, 1, Logits::Last), 2.0);
    /// assert_eq!(estimate.method.map(|method| method.as_str()), Some("architecture"));
    /// assert!(estimate.flops.is_some() && estimate.traffic.is_some());
    /// # Ok::<(), joulemark_flops::ShapeError>(())
    /// ```
    pub fn estimate(&self, schedule: &Schedule, cache_bytes_per_element: f64) -> FlopsEstimate {
        match self {
            Self::Walk(walk) => by_walk(walk, schedule, cache_bytes_per_element),
            Self::Parameters(parameters) => by_parameters(parameters, schedule),
            Self::Unknown { reason } => FlopsEstimate {
                total_tokens: schedule.total_tokens(),
                notes: vec![reason.clone()],
                ..FlopsEstimate::default()
            },
        }
    }

    /// Returns the estimator with `bytes_per_weight` bytes for each weight, as an engine stores them. With `None` the
    /// bytes read are unknown.
    pub fn with_bytes_per_weight(self, bytes_per_weight: Option<f64>) -> Self {
        match self {
            Self::Walk(walk) => Self::Walk(Box::new(walk.with_bytes_per_weight(bytes_per_weight))),
            other => other,
        }
    }
}

/// Estimates by the model's operators.
fn by_walk(walk: &Walk, schedule: &Schedule, cache_bytes_per_element: f64) -> FlopsEstimate {
    let flops = walk.count(schedule);
    let shape = walk.shape();
    let active = shape.parameters_active();
    let tokens = match shape.generates_text() {
        true => schedule.total_tokens(),
        false => schedule.input_tokens(),
    };
    FlopsEstimate {
        flops_total: Some(flops.total()),
        flops_two_params_tokens: Some(2 * active * tokens),
        params_total: Some(shape.parameters_total()),
        params_active: Some(active),
        method: Some(if walk.is_traced() {
            FlopsMethod::Traced
        } else {
            FlopsMethod::Architecture
        }),
        confidence: Some(walk.confidence()),
        traffic: walk.traffic(schedule, cache_bytes_per_element),
        total_tokens: tokens,
        notes: notes(walk, schedule, &flops),
        flops: Some(flops),
    }
}

/// Returns the notes on assumptions of a count by operators.
fn notes(walk: &Walk, schedule: &Schedule, flops: &Flops) -> Vec<String> {
    let mut notes = Vec::new();
    if !walk.problems.is_empty() {
        notes.push(format!(
            "not traced, because files and architecture disagree: {}",
            few(&walk.problems)
        ));
    }
    if let Some(sliding) = walk.shape().sliding.as_ref()
        && flops.unwindowed_total != flops.total()
    {
        notes.push(format!(
            "{} of {} layers see at most {} tokens: in decode they are counted so, and in flops_unwindowed_total over the \
             whole context",
            sliding.layers,
            walk.shape().layers(),
            sliding.window
        ));
    }
    if walk.shape().is_encoder() {
        notes.push("only the encoder is counted: there is no decoder, so no text is generated".to_owned());
    } else if !walk.shape().head.makes_text {
        let note = "no text is generated by this model: it has no lm_head, so there are no decode steps";
        notes.push(note.to_owned());
    }
    if walk.outside_elements > 0 {
        notes.push(format!(
            "{} weights outside the text model (vision, layers that predict further tokens) are not counted",
            walk.outside_elements
        ));
    }
    if schedule.batch > 1 {
        notes
            .push("bytes assume that the whole batch shares each pass over the weights: they are a minimum".to_owned());
    }
    notes
}

/// Returns the first two problems, each shortened, because a name in a file may be very long.
fn few(problems: &[String]) -> String {
    const NAMED: usize = 2;
    let named = problems.iter().take(NAMED).map(|problem| shortened(problem));
    let named = named.collect::<Vec<_>>().join("; ");
    match problems.len() > NAMED {
        true => format!("{named}; and others"),
        false => named,
    }
}

/// Computes 2 × parameters × tokens, with input and output tokens.
fn by_parameters(parameters: &Parameters, schedule: &Schedule) -> FlopsEstimate {
    let tokens = schedule.total_tokens();
    let Some(count) = parameters.active.or(parameters.total).filter(|count| *count > 0) else {
        return FlopsEstimate {
            total_tokens: tokens,
            notes: vec![format!("no number of parameters follows from {}", parameters.basis)],
            ..FlopsEstimate::default()
        };
    };
    let flops = 2 * u128::from(count) * tokens;
    let active = if parameters.active.is_some() { "active " } else { "" };
    FlopsEstimate {
        flops_total: Some(flops),
        flops_two_params_tokens: Some(flops),
        params_total: parameters.total.map(u128::from),
        params_active: parameters.active.map(u128::from),
        method: Some(parameters.method),
        confidence: Some(parameters.method.confidence()),
        total_tokens: tokens,
        notes: vec![format!(
            "2 x {count} {active}parameters x {tokens} input and output tokens, parameters from {}; attention is left out",
            parameters.basis
        )],
        ..FlopsEstimate::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Estimator, FlopsMethod, Parameters};
    use crate::{Logits, Naming, RequestTokens, Schedule, Walk, from_config_json};
    use joulemark_measurement::Confidence;

    fn schedule() -> Schedule {
        Schedule::uniform(RequestTokens { input: 100, output: 20 }, 1, Logits::Last)
    }

    fn by_config(config: &serde_json::Value) -> Estimator {
        let shape = from_config_json(config).unwrap();
        Estimator::Walk(Box::new(Walk::new(shape, Naming::HuggingFace, &[], None)))
    }

    #[test]
    fn a_configuration_alone_is_trusted_less_than_tensors_and_more_than_a_name() {
        let architecture = by_config(&json!({"model_type": "llama"})).estimate(&schedule(), 2.0);
        assert_eq!(architecture.method, Some(FlopsMethod::Architecture));
        assert_eq!(architecture.flops_two_params_tokens, Some(2 * 6_738_415_616 * 120));
        let parameters = Estimator::Parameters(Parameters {
            total: Some(7_000_000_000),
            active: None,
            method: FlopsMethod::ParameterEstimate,
            basis: "the name".into(),
        });
        let parameters = parameters.estimate(&schedule(), 2.0);
        assert_eq!(parameters.flops_total, Some(2 * 7_000_000_000 * 120));
        assert_eq!(parameters.confidence, Some(Confidence::Low));
        let confidences = [
            FlopsMethod::Traced,
            FlopsMethod::Architecture,
            FlopsMethod::ParameterEstimate,
        ];
        assert_eq!(
            confidences.map(FlopsMethod::confidence),
            [Confidence::High, Confidence::Medium, Confidence::Low]
        );
    }

    #[test]
    fn active_parameters_do_the_work_and_none_are_no_figure() {
        let of = |total, active| {
            let parameters = Parameters {
                total,
                active,
                method: FlopsMethod::Architecture,
                basis: "the tensors".into(),
            };
            Estimator::Parameters(parameters).estimate(&schedule(), 2.0)
        };
        let experts = of(Some(30), Some(3));
        assert_eq!((experts.flops_total, experts.params_total), (Some(720), Some(30)));
        assert_eq!(experts.params_active, Some(3));
        for nothing in [of(Some(0), None), of(None, None)] {
            assert_eq!(
                (nothing.flops_total, nothing.params_total, nothing.method),
                (None, None, None)
            );
        }
    }

    #[test]
    fn a_note_stays_a_sentence_whatever_is_named() {
        let long = "x".repeat(100_000);
        assert!(super::few(&vec![long; 20]).len() < 400);
        assert_eq!(super::few(&["a".to_owned()]), "a");
    }

    #[test]
    fn what_is_unknown_stays_null_and_says_why() {
        let reason = "no parameters".to_owned();
        let estimate = Estimator::Unknown { reason: reason.clone() }.estimate(&schedule(), 2.0);
        assert_eq!((estimate.flops_total, estimate.notes), (None, vec![reason]));
    }

    #[test]
    fn a_context_beyond_the_sliding_window_is_noted() {
        let estimator = by_config(&json!({"model_type": "mistral", "sliding_window": 110}));
        let estimate = estimator.estimate(&schedule(), 2.0);
        assert!(estimate.notes[0].contains("110 tokens"), "{:?}", estimate.notes);
        assert!(estimate.flops.unwrap().unwindowed_total > estimate.flops_total.unwrap());
        let whole = estimator.estimate(&schedule().without_windows(), 2.0);
        assert_eq!(
            (whole.flops_total, whole.notes.len()),
            (whole.flops.map(|flops| flops.unwindowed_total), 0)
        );
        let short = Schedule::uniform(RequestTokens { input: 10, output: 20 }, 1, Logits::Last);
        assert!(estimator.estimate(&short, 2.0).notes.is_empty());
    }
}
