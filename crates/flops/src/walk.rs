use super::count::{Flops, count};
use super::line::{Line, lines};
use super::names::Naming;
use super::operator::Operator;
use super::placement::{Placement, place};
use super::schedule::{LatentCache, Schedule};
use super::shape::ModelShape;
use super::tensor::TensorInfo;
use super::traffic::{Traffic, Weights, traffic};
use joulemark_measurement::Confidence;

/// Operators of a model, compared with the tensors of its files where there are any.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    pub(super) shape: ModelShape,
    pub(super) operators: Vec<Operator>,
    /// Stored bytes of each operator; `None` where they are unknown.
    pub(super) bytes: Option<Vec<f64>>,
    traced: bool,
    /// Differences between tensors and operators; empty where there are none, or no tensors.
    pub(super) problems: Vec<String>,
    pub(super) outside_elements: u64,
    /// Share of the model's elements by which files and operators differ.
    differing_share: f64,
    /// Reason why `bytes` are unknown, in words.
    why_no_bytes: Option<String>,
}

/// Share of differing elements above which the files are assumed to be those of another model.
const MAX_DIFFERING_SHARE: f64 = 0.25;

impl Walk {
    /// Builds the operators by the family's formulas and compares them with the tensors. The result is traced when
    /// every tensor belongs to an operator and every operator has its tensors. Without tensors the bytes follow from
    /// `bits_per_weight`.
    ///
    /// ```
    /// use joulemark_flops::{Naming, Walk, from_config_json};
    ///
    /// let shape = from_config_json(&serde_json::json!({"model_type": "gpt2"}))?;
    /// let walk = Walk::new(shape, Naming::HuggingFace, &[], None);
    /// assert!(!walk.is_traced(), "no tensors confirm the operators");
    /// # Ok::<(), joulemark_flops::ShapeError>(())
    /// ```
    pub fn new(shape: ModelShape, naming: Naming, tensors: &[TensorInfo], bits_per_weight: Option<f64>) -> Self {
        let operators = shape.operators();
        if tensors.is_empty() {
            let bytes = bits_per_weight.map(|bits| bytes_at(&shape, &operators, bits / 8.0));
            return Self {
                shape,
                operators,
                bytes,
                traced: false,
                problems: Vec::new(),
                outside_elements: 0,
                differing_share: 0.0,
                why_no_bytes: None,
            };
        }
        let placement = place(&shape, &operators, naming, tensors);
        let traced = placement.problems.is_empty();
        let bytes = if traced {
            Some(placement.bytes.iter().map(|bytes| *bytes as f64).collect())
        } else {
            let complete = Complete {
                shape: &shape,
                operators: &operators,
                placement: &placement,
            };
            complete.bytes(bits_per_weight)
        };
        let differing_share = placement.differing_elements as f64 / shape.parameters_total().max(1) as f64;
        Self {
            shape,
            operators,
            bytes,
            traced,
            problems: placement.problems,
            outside_elements: placement.outside_elements,
            differing_share,
            why_no_bytes: None,
        }
    }

    /// Sets the reason for unknown bytes.
    pub(super) fn with_reason(self, reason: String) -> Self {
        Self {
            why_no_bytes: Some(reason),
            ..self
        }
    }

    /// Returns why the bytes read are unknown.
    pub(super) fn why_no_bytes(&self) -> &str {
        match &self.why_no_bytes {
            Some(reason) => reason,
            None if self.problems.is_empty() => "neither tensors nor configuration give the weights' types",
            None => "less than half of the weights were found among the tensors",
        }
    }

    /// Compares the operators with the size of files whose tensors are not read. `sizes` are the sizes that a weight
    /// may have, each as minimum and maximum bytes. Where none of them explains the size within a quarter, the
    /// confidence is lowered.
    pub(super) fn compared_with_size(mut self, bytes: u64, sizes: &[(f64, f64)]) -> Self {
        let parameters = self.shape.parameters_total() as f64;
        // A tied lm_head may have been saved a second time.
        let embedding = if self.shape.tied {
            self.shape.vocab_size * self.shape.hidden_size
        } else {
            0
        };
        let difference = |(least, most): &(f64, f64)| {
            let (least, most) = (parameters * least, (parameters + embedding as f64) * most);
            let found = bytes as f64;
            let beyond = (least - found).max(found - most).max(0.0);
            (beyond / if found < least { least } else { most }, least)
        };
        let nearest = sizes
            .iter()
            .map(difference)
            .min_by(|left, right| left.0.total_cmp(&right.0));
        if let Some((share, expected)) = nearest.filter(|(share, _)| *share > MAX_DIFFERING_SHARE) {
            self.differing_share = share;
            self.problems.push(format!(
                "the weights' files have {bytes} bytes, while {parameters} parameters take {expected:.0}"
            ));
        }
        self
    }

    /// Returns whether every tensor of the files belongs to an operator, and every operator has its tensors.
    pub fn is_traced(&self) -> bool {
        self.traced
    }

    /// Returns the confidence in the count: high when it is traced, low where files and operators differ by more than a
    /// quarter of the model, else medium.
    pub fn confidence(&self) -> Confidence {
        match self.traced {
            true => Confidence::High,
            false if self.differing_share > MAX_DIFFERING_SHARE => Confidence::Low,
            false => Confidence::Medium,
        }
    }

    /// Returns the model's dimensions.
    pub fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// Returns the model with `bytes_per_weight` bytes for each weight, as an engine stores them. With `None` the bytes
    /// read are unknown.
    pub fn with_bytes_per_weight(mut self, bytes_per_weight: Option<f64>) -> Self {
        self.bytes = bytes_per_weight.map(|bytes| bytes_at(&self.shape, &self.operators, bytes));
        self
    }

    /// Counts the FLOPs of a schedule.
    pub(super) fn count(&self, schedule: &Schedule) -> Flops {
        count(&self.shape, &self.operators, schedule)
    }

    /// Returns the lines of the operator table.
    pub(super) fn lines(&self, latents: LatentCache) -> Vec<Line> {
        lines(&self.shape, &self.operators, latents)
    }

    /// Returns the bytes that a schedule reads; `None` where those of the weights are unknown.
    pub(super) fn traffic(&self, schedule: &Schedule, cache_bytes_per_element: f64) -> Option<Traffic> {
        let weights = Weights {
            shape: &self.shape,
            operators: &self.operators,
            bytes: self.bytes.as_deref()?,
        };
        Some(traffic(&weights, schedule, cache_bytes_per_element))
    }
}

/// Operators of a model that is not traced, with those whose tensors are complete.
struct Complete<'a> {
    shape: &'a ModelShape,
    operators: &'a [Operator],
    placement: &'a Placement,
}

impl Complete<'_> {
    /// Returns the bytes of each operator: those of its tensors or, where some are missing, those that follow from the
    /// mean size of a weight. `None` where less than half of the weights are known and the configuration does not state
    /// their size.
    fn bytes(&self, bits_per_weight: Option<f64>) -> Option<Vec<f64>> {
        let elements = |operator: &Operator| parameters(self.shape, operator) as f64;
        let operators = || {
            self.operators
                .iter()
                .zip(&self.placement.bytes)
                .zip(&self.placement.complete)
        };
        let (mut known_bytes, mut known_elements) = (0.0, 0.0);
        for ((operator, bytes), _) in operators().filter(|(_, complete)| **complete) {
            known_bytes += *bytes as f64;
            known_elements += elements(operator);
        }
        let tell = known_elements * 2.0 >= self.shape.parameters_total() as f64;
        let mean = (tell && known_elements > 0.0).then(|| known_bytes / known_elements);
        let mean = mean.or(bits_per_weight.map(|bits| bits / 8.0))?;
        let of = |((operator, bytes), complete): ((&Operator, &u64), &bool)| match complete {
            true => *bytes as f64,
            false => elements(operator) * mean,
        };
        Some(operators().map(of).collect())
    }
}

/// Returns the bytes of each operator with the same size for all weights.
fn bytes_at(shape: &ModelShape, operators: &[Operator], bytes_per_weight: f64) -> Vec<f64> {
    let bytes = |operator: &Operator| parameters(shape, operator) as f64 * bytes_per_weight;
    operators.iter().map(bytes).collect()
}

/// Returns the number of elements of all copies of an operator. A bias of lm_head exists even where its matrix is the
/// embedding.
pub(super) fn parameters(shape: &ModelShape, operator: &Operator) -> u128 {
    let stored = shape.stored(operator);
    operator.elements() * u128::from(stored) + operator.bias_elements() * u128::from(stored.max(1))
}
