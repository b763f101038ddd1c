//! A question about one model and its answer, each a flat record.

use serde::Serialize;

use super::estimate::{Estimator, FlopsEstimate, FlopsMethod};
use super::line::OperatorKind;
use super::peaks::DevicePeaks;
use super::roofline::Devices;
use super::schedule::{LatentCache, Logits, RequestTokens, Schedule};
use super::walk::parameters;
use joulemark_measurement::{Confidence, Roofline};

/// Bytes of an element of the key-value cache: half precision, as engines store it on a GPU.
const CACHE_BYTES_PER_ELEMENT: f64 = 2.0;

/// A question about one model: number of tokens, of sequences, and the device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Question {
    /// Tokens of each sequence.
    pub tokens: RequestTokens,
    /// Number of equal sequences in one batch.
    pub batch: u32,
    /// Positions whose logits the prefill computes.
    pub logits: Logits,
    /// Device whose roofline the answer contains; `None` for an answer without one.
    pub device: Option<&'static DevicePeaks>,
}

/// FLOPs and bytes of one prefill of `input_tokens`, which gives the first output token, and of `output_tokens` − 1
/// decode steps with `input_tokens`, `input_tokens` + 1, … cached tokens, for each of `batch` sequences.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlopsAnswer {
    /// Name of the model, as in the question.
    pub model: String,
    /// `general.architecture` of a GGUF, or `model_type` of a `config.json`; null where neither is given.
    pub architecture: Option<String>,
    /// Number of prompt tokens of each sequence.
    pub input_tokens: u32,
    /// Number of tokens that each sequence generates.
    pub output_tokens: u32,
    /// Number of equal sequences in one batch.
    pub batch: u32,
    pub logits: Logits,
    /// Number of parameters. An embedding that is also the lm_head counts once; buffers do not count.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub params_total: Option<u128>,
    /// Number of parameters that one token uses: all but those of experts that are not chosen.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub params_active: Option<u128>,
    /// FLOPs of the matrix products, 2 for each multiply-add. Attention counts the full T × S matrix of new tokens and
    /// cached keys; in decode, layers with a sliding window see no more keys than the window.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub flops_total: Option<u128>,
    /// FLOPs of the prefill.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub flops_prefill: Option<u128>,
    /// FLOPs of all `output_tokens` − 1 decode steps together.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub flops_decode: Option<u128>,
    /// `flops_total` / 2.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub macs_total: Option<u128>,
    /// `flops_total` with only those pairs of attention whose key is not later than the query.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub flops_causal_total: Option<u128>,
    /// FLOPs if every layer saw the whole context in decode: more than `flops_total` where layers have a sliding
    /// window.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub flops_unwindowed_total: Option<u128>,
    /// FLOPs of norms, softmax, activations, rotary embedding and sums, one for each operation; not part of the other
    /// figures.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub flops_elementwise: Option<u128>,
    /// 2 × `params_active` × input and output tokens; input tokens only where the model generates no text.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub flops_two_params_tokens: Option<u128>,
    /// `flops_total` / input and output tokens; input tokens only where the model generates no text.
    pub flop_per_token: Option<f64>,
    /// Bytes that a decode step reads for one token: `weight_bytes_per_token` + `cache_bytes_per_token`; null without
    /// decode steps.
    pub bytes_per_token: Option<f64>,
    /// Bytes of weights that a decode step reads for one token, by the types of the tensors; a batch shares them. Null
    /// where the model generates no text.
    pub weight_bytes_per_token: Option<f64>,
    /// Bytes of keys and values that a decode step reads for one token, at the mean length of the context, 2 bytes for
    /// each element. Null where the model generates no text.
    pub cache_bytes_per_token: Option<f64>,
    /// Bytes of weights, keys and values that all passes read; activations are left out.
    pub bytes_read_total: Option<f64>,
    /// `flops_total` / `bytes_read_total`, FLOP/byte.
    pub arithmetic_intensity: Option<f64>,
    /// FLOPs per byte read in the prefill; null where bytes are unknown.
    pub arithmetic_intensity_prefill: Option<f64>,
    /// FLOPs per byte read in the decode; null where bytes are unknown.
    pub arithmetic_intensity_decode: Option<f64>,
    /// Method of the count; null when nothing could be counted.
    pub flops_method: Option<FlopsMethod>,
    /// Confidence in the count; null when nothing could be counted.
    pub flops_confidence: Option<Confidence>,
    /// Assumptions, tensors that fit no operator, and reasons for missing figures.
    pub notes: Vec<String>,
    /// Every operator, those with weights first; empty where only parameters are known.
    pub operators: Vec<OperatorAnswer>,
    /// Peak rates of the device in the question and the shortest time that they allow; null without a device.
    pub roofline: Option<Roofline>,
}

/// One line of the operator table: an operator with all its copies in layers and experts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperatorAnswer {
    /// Name of the operator, such as `q_proj`.
    pub operator: &'static str,
    pub kind: OperatorKind,
    /// Shape of one weight matrix, `[out, in]`; null without weights.
    pub shape: Option<[u64; 2]>,
    /// Number of copies in the model; 0 for a lm_head that is the embedding. Null without weights.
    pub copies: Option<u64>,
    /// Number of copies that one token uses.
    pub copies_active: Option<u64>,
    /// Number of elements of all copies, biases included.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub params: Option<u128>,
    /// Bytes of all copies; null where the types are unknown.
    pub bytes: Option<f64>,
    /// FLOPs in the prefill.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub flops_prefill: u128,
    /// FLOPs in all decode steps.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub flops_decode: u128,
}

impl Estimator {
    /// Answers a question: counts one prefill and `output` − 1 decode steps of each sequence, with keys and values of 2
    /// bytes for each element. `model` and `architecture` are copied into the answer.
    ///
    /// ```
    /// use joulemark_flops::model_files::estimator_by_name;
    /// use joulemark_flops::{Confidence, Logits, Question, RequestTokens};
    ///
    /// let question = Question {
    ///     tokens: RequestTokens { input: 100, output: 20 },
    ///     batch: 1,
    ///     logits: Logits::Last,
    ///     device: None,
    /// };
    /// // Only a name is known: 2 x 7e9 parameters x 120 tokens.
    /// let answer = estimator_by_name("Llama-2-7b").answer("Llama-2-7b", None, &question);
    /// assert_eq!(answer.flops_total, Some(1_680_000_000_000));
    /// assert_eq!(answer.flops_confidence, Some(Confidence::Low));
    /// assert_eq!(answer.bytes_per_token, None);
    /// ```
    pub fn answer(&self, model: &str, architecture: Option<&str>, question: &Question) -> FlopsAnswer {
        let schedule = Schedule::uniform(question.tokens, question.batch, question.logits);
        let estimate = self.estimate(&schedule, CACHE_BYTES_PER_ELEMENT);
        let flops = estimate.flops.as_ref();
        let traffic = estimate.traffic;
        let of_steps = traffic.filter(|_| self.generates_text());
        let intensity = |flops: Option<u128>, bytes: Option<f64>| {
            let bytes = bytes.filter(|bytes| *bytes > 0.0);
            flops.zip(bytes).map(|(flops, bytes)| flops as f64 / bytes)
        };
        FlopsAnswer {
            model: model.to_owned(),
            architecture: architecture.map(str::to_owned),
            input_tokens: question.tokens.input,
            output_tokens: question.tokens.output,
            batch: question.batch,
            logits: question.logits,
            params_total: estimate.params_total,
            params_active: estimate.params_active,
            flops_total: estimate.flops_total,
            flops_prefill: flops.map(|flops| flops.prefill),
            flops_decode: flops.map(|flops| flops.decode),
            macs_total: estimate.flops_total.map(|flops| flops / 2),
            flops_causal_total: flops.map(|flops| flops.causal_total),
            flops_unwindowed_total: flops.map(|flops| flops.unwindowed_total),
            flops_elementwise: flops.map(|flops| flops.elementwise),
            flops_two_params_tokens: estimate.flops_two_params_tokens,
            flop_per_token: intensity(estimate.flops_total, Some(estimate.total_tokens as f64)),
            bytes_per_token: traffic.and_then(|traffic| traffic.per_token()),
            weight_bytes_per_token: of_steps.map(|traffic| traffic.weights_per_token),
            cache_bytes_per_token: of_steps.map(|traffic| traffic.cache_per_token),
            bytes_read_total: traffic.map(|traffic| traffic.total()),
            arithmetic_intensity: intensity(estimate.flops_total, traffic.map(|traffic| traffic.total())),
            arithmetic_intensity_prefill: intensity(
                flops.map(|flops| flops.prefill),
                traffic.map(|traffic| traffic.prefill),
            ),
            arithmetic_intensity_decode: intensity(
                flops.map(|flops| flops.decode),
                traffic.map(|traffic| traffic.decode),
            ),
            flops_method: estimate.method,
            flops_confidence: estimate.confidence,
            notes: notes(self, &schedule, &estimate),
            operators: self.operators(&schedule),
            roofline: question.device.and_then(|peaks| {
                let devices = Devices {
                    peaks,
                    count: 1,
                    activation_dtype: "f16",
                };
                estimate.roofline(None, devices)
            }),
        }
    }

    /// Returns whether there can be decode steps.
    fn generates_text(&self) -> bool {
        match self {
            Self::Walk(walk) => walk.shape().generates_text(),
            Self::Parameters(_) | Self::Unknown { .. } => true,
        }
    }

    /// Returns the lines of the operator table.
    fn operators(&self, schedule: &Schedule) -> Vec<OperatorAnswer> {
        let Self::Walk(walk) = self else { return Vec::new() };
        let passes = walk.shape().passes();
        let (prefill, decode) = (schedule.prefill(passes), schedule.decode(passes));
        let lines = walk.lines(schedule.latents).into_iter();
        let answer = |line: super::line::Line| {
            let holder = line.operator.map(|index| (index, &walk.operators[index]));
            OperatorAnswer {
                operator: line.name,
                kind: line.kind,
                shape: holder.map(|(_, operator)| [operator.rows, operator.columns]),
                copies: holder.map(|(_, operator)| walk.shape().stored(operator)),
                copies_active: holder.map(|(_, operator)| walk.shape().active(operator)),
                params: holder.map(|(_, operator)| parameters(walk.shape(), operator)),
                bytes: holder.and_then(|(index, _)| Some(*walk.bytes.as_ref()?.get(index)?)),
                flops_prefill: line.flops(&prefill),
                flops_decode: line.flops(&decode),
            }
        };
        lines.map(answer).collect()
    }
}

/// Returns the notes of an estimate, with those on latent attention and on unknown bytes.
fn notes(estimator: &Estimator, schedule: &Schedule, estimate: &FlopsEstimate) -> Vec<String> {
    let mut notes = estimate.notes.clone();
    let Estimator::Walk(walk) = estimator else {
        if estimate.flops_total.is_some() {
            notes.push(
                "bytes are unknown: the weights that a token reads are known only for described families".to_owned(),
            );
        }
        return notes;
    };
    if walk.shape().latent.is_some() {
        let [expanded, absorbed] = [LatentCache::Expanded, LatentCache::Absorbed]
            .map(|latents| walk.count(&schedule.clone().with(latents)).total());
        notes.push(format!(
            "keys and values of all cached tokens are recomputed from the latents in every step, as in transformers 5.24; \
             an engine that caches them expanded (mistral.rs 0.8.1 without paged attention) needs {expanded} \
             FLOPs, and one whose decode steps attend to the latents (mistral.rs 0.8.1 with paged attention) {absorbed}"
        ));
    }
    if estimate.traffic.is_none() {
        notes.push(format!("bytes are unknown: {}", walk.why_no_bytes()));
    }
    notes
}
