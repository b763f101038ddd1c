use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::field::Fields;
use super::table::{Bounds, FieldType, Kind, fields, nested};

fields! {
    /// Decoding parameters: how the next token is chosen. Default: greedy decoding.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"temperature": 0.7, "top_p": 0.95, "seed": 7}))]
    pub struct DecoderRequest;
    /// Decoding parameters: how the next token is chosen.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct Decoder;

    /// Sampling temperature: 0, which is greedy, or 0.000001 to 100. Default 0, and 1 where `do_sample` is true.
    temperature: f64 [minimum = 0, maximum = 100] =>
        /// Sampling temperature; 0 is greedy.
        f64 = 0.0, "Sampling temperature; 0 is greedy.";

    /// True samples, at temperature 1 where none is given; false decodes greedily. Default: true when `temperature` is
    /// above 0.
    do_sample: bool =>
        /// Whether tokens are sampled from the distribution, instead of taking the most probable one.
        bool = false, "Whether tokens are sampled.";

    /// Sample only from the k most probable tokens.
    top_k: u32 [minimum = 1, maximum = 10_000_000] =>
        /// Number of most probable tokens to sample from; null for all.
        Option<u32> = None, "Number of most probable tokens to sample from.";

    /// Sample only from the most probable tokens whose probabilities add up to this; above 0, at most 1.
    top_p: f64 [exclusive_minimum = 0, maximum = 1] =>
        /// Total probability of the most probable tokens to sample from; null for all.
        Option<f64> = None, "Total probability of the most probable tokens to sample from.";

    /// Penalty on tokens that already occurred: positive logits are divided by it, negative ones multiplied; 0.01 to
    /// 100, 1 for none.
    repetition_penalty: f64 [exclusive_minimum = 0, maximum = 100] =>
        /// Penalty on tokens that already occurred: positive logits are divided by it, negative ones multiplied; null
        /// for none.
        Option<f64> = None, "Penalty on tokens that already occurred.";

    /// Sample only from tokens with at least this share of the most probable token's probability; 0 for all.
    min_p: f64 [minimum = 0, maximum = 1] =>
        /// Minimum probability of the tokens to sample from, as a share of the most probable token's; null for all.
        #[serde(default)]
        Option<f64> = None, "Minimum probability to sample from, as a share of the most probable token's.";

    /// No sequence of n tokens occurs twice in prompt and answer together; 0 for no such rule. Not for engines that are
    /// servers.
    no_repeat_ngram_size: u32 [minimum = 0, maximum = 10_000] =>
        /// No sequence of n tokens occurs twice in prompt and answer together; null for no such rule.
        #[serde(default)]
        Option<u32> = None, "Length of token sequences that may not occur twice.";

    /// Seed of the sampler, 0 to 2^64 − 1. Default 0 when sampling.
    seed: u64 [minimum = 0] =>
        /// Seed of the sampler; null when decoding is greedy.
        Option<u64> = None, "Seed of the sampler, up to 2^64 - 1; unknown when greedy.";
}

impl FieldType for DecoderRequest {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        nested(fields, name, (Self::NAMES, ""), Self::read_all)
    }
}

impl Decoder {
    /// Fills in the defaults, which depend on each other, and drops values without effect.
    pub(crate) fn resolved(asked: DecoderRequest) -> Self {
        let is_asked_to_sample = asked.do_sample == Some(true);
        let temperature = asked.temperature.unwrap_or(if is_asked_to_sample { 1.0 } else { 0.0 });
        let do_sample = asked.do_sample.unwrap_or(temperature > 0.0);
        let mut decoder = asked.filled();
        decoder.temperature = temperature;
        decoder.do_sample = do_sample;
        decoder.top_k = decoder.top_k.filter(|_| do_sample);
        decoder.top_p = decoder.top_p.filter(|p| do_sample && *p < 1.0);
        decoder.min_p = decoder.min_p.filter(|p| do_sample && *p > 0.0);
        decoder.no_repeat_ngram_size = decoder.no_repeat_ngram_size.filter(|size| *size > 0);
        decoder.repetition_penalty = decoder.repetition_penalty.filter(|penalty| *penalty != 1.0);
        decoder.seed = do_sample.then(|| decoder.seed.unwrap_or(0));
        decoder
    }
}
