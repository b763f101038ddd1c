//! Computes the size that the sequences of one batch need in a key-value cache, before a model is loaded. No I/O.

use joulemark_experiment::{FpPrecision, PromptLine, Prompts, Spec};

use crate::inference::prompts;

/// Number of tokens in a block of a paged cache: the default of mistral.rs 0.8.1 and its largest.
pub const BLOCK_TOKENS: u64 = 32;

/// Number of tokens that a chat template may add to a prompt whose length in tokens is not given. Templates with
/// their own system prompt stay below 100.
const TEMPLATE_TOKENS: u32 = 1024;

/// mistral.rs 0.8.1 allocates a second cache for each request, in steps of this many tokens of its prompt
/// (`NormalCache::CACHE_GROW_SIZE`). Keys and values share it.
const PREALLOCATED_STEP_TOKENS: u64 = 512;

const MEBIBYTE: u64 = 1 << 20;

/// Returns the number of bytes of an element of a key-value cache on a GPU, which has the type of the activations. For
/// `auto`, current GPUs choose a type of two bytes.
pub fn element_bytes(precision: FpPrecision) -> u64 {
    match precision {
        FpPrecision::Float32 => 4,
        FpPrecision::Float16 | FpPrecision::Bfloat16 | FpPrecision::Auto => 2,
    }
}

/// The sequences that a key-value cache must hold at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheNeed {
    /// Number of sequences that are decoded together.
    pub sequences: u32,
    /// Maximum number of tokens of a prompt.
    pub input_tokens: u32,
    /// Maximum number of output tokens of a sequence.
    pub output_tokens: u32,
    /// Whether every prompt has exactly `input_tokens`. For a text it is a bound: a token has at least one byte.
    pub is_exact: bool,
}

impl CacheNeed {
    /// Returns what the batches of `spec` need, which is in the form that workers get. No sequence is longer than
    /// `max_context_tokens`, where that is known: prompts without room for their answer are rejected.
    pub fn of(spec: &Spec, max_context_tokens: Option<u64>) -> Self {
        let synthetic = match &spec.prompts {
            Prompts::Synthetic { synthetic } if spec.prompt_lines.is_empty() => Some(synthetic.input_bounds()),
            _ => None,
        };
        let cut = spec.max_input_tokens.unwrap_or(u32::MAX);
        let are_alike = synthetic.is_some_and(|(shortest, longest)| shortest.min(cut) == longest.min(cut));
        let synthetic = synthetic.map(|(_, longest)| longest);
        let longest = synthetic.unwrap_or_else(|| longest_text(spec).saturating_add(TEMPLATE_TOKENS));
        let lines = 0..spec.prompt_lines.len() as u32;
        let of_lines = lines.map(|line| spec.max_output_tokens_of(line)).max();
        let output_tokens = of_lines.unwrap_or(spec.max_output_tokens);
        let context = max_context_tokens.map_or(u32::MAX, |most| u32::try_from(most).unwrap_or(u32::MAX));
        Self {
            sequences: spec.batch_size,
            input_tokens: longest.min(cut).min(context.saturating_sub(output_tokens)),
            output_tokens,
            // Batches of texts are only accepted where all are cut to one length.
            is_exact: are_alike || (spec.batch_size > 1 && spec.max_input_tokens.is_some()),
        }
    }

    /// Returns the number of input and output tokens of one sequence.
    pub fn sequence_tokens(&self) -> u64 {
        u64::from(self.input_tokens) + u64::from(self.output_tokens)
    }

    /// Returns the number of tokens that a paged cache must hold: for each sequence whole blocks and one to grow into,
    /// and the block that the engine reserves for itself.
    pub fn paged_tokens(&self) -> u64 {
        let blocks = self.sequence_tokens().div_ceil(BLOCK_TOKENS) + 1;
        (u64::from(self.sequences) * blocks + 1) * BLOCK_TOKENS
    }

    /// Returns the size of a paged cache in MiB, rounded up, for `token_bytes` per token.
    pub fn paged_mib(&self, token_bytes: u64) -> u64 {
        // The engine divides by each factor in turn and rounds down, which loses less than a block in all.
        (self.paged_tokens() * token_bytes).div_ceil(MEBIBYTE) + 1
    }

    /// Returns the number of bytes that the engine allocates besides the paged cache while it runs the prompts. Keys
    /// and values of one token take `token_bytes`.
    pub fn preallocated_bytes(&self, token_bytes: u64) -> u64 {
        let of_prompt = u64::from(self.input_tokens).div_ceil(PREALLOCATED_STEP_TOKENS) * PREALLOCATED_STEP_TOKENS;
        u64::from(self.sequences) * of_prompt * token_bytes / 2
    }
}

/// Returns the maximum number of bytes of a prompt of `spec`.
fn longest_text(spec: &Spec) -> u32 {
    let longest = if spec.prompt_lines.is_empty() {
        match &spec.prompts {
            Prompts::Texts(texts) => texts.iter().map(String::len).max(),
            Prompts::Dataset(dataset) => {
                let count = dataset.count.map(|count| count as usize);
                let texts = prompts::load(&dataset.dataset, count).unwrap_or_default();
                texts.iter().map(String::len).max()
            }
            Prompts::Synthetic { .. } => None,
        }
    } else {
        spec.prompt_lines.iter().map(longest_line).max()
    };
    u32::try_from(longest.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// Returns the number of bytes of a line, plus some for each of its messages, which a template separates by its own
/// tokens.
fn longest_line(line: &PromptLine) -> usize {
    const MESSAGE_TOKENS: usize = 16;
    line.bytes() as usize + line.messages.as_ref().map_or(0, Vec::len) * MESSAGE_TOKENS
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAVE: CacheNeed = CacheNeed {
        sequences: 4,
        input_tokens: 100,
        output_tokens: 28,
        is_exact: true,
    };

    #[test]
    fn a_paged_cache_has_whole_blocks_for_each_sequence() {
        // 128 tokens are 4 blocks, and one to grow into.
        assert_eq!(WAVE.paged_tokens(), (4 * 5 + 1) * 32);
        let longer = CacheNeed {
            output_tokens: 29,
            ..WAVE
        };
        assert_eq!(longer.paged_tokens(), (4 * 6 + 1) * 32);
    }

    #[test]
    fn the_size_is_large_enough_after_the_rounding_of_the_engine() {
        for (layers, elements) in [(1, 2), (30, 384), (61, 576), (32, 2048)] {
            let mib = WAVE.paged_mib(layers * elements * 2);
            // The division of `mb_to_blocks!` in mistral.rs 0.8.1.
            let blocks = mib * (1 << 20) / 2 / 32 / layers / elements;
            assert!(blocks * 32 >= WAVE.paged_tokens(), "{layers} {elements}: {blocks}");
        }
    }

    #[test]
    fn the_second_cache_grows_in_steps_of_512_tokens_of_the_prompt() {
        assert_eq!(WAVE.preallocated_bytes(2), 4 * 512);
        let longer = CacheNeed {
            input_tokens: 513,
            ..WAVE
        };
        assert_eq!(longer.preallocated_bytes(2), 4 * 1024);
    }

    fn spec(prompts: serde_json::Value) -> Spec {
        let whole = serde_json::json!({
            "config_name": "c", "model_name": "m", "num_processes": 1, "gpus": [], "device": "cuda", "distribution": "shard",
            "fp_precision": "auto", "quantization": null, "prompts": prompts, "raw_prompt": true,
            "max_input_tokens": null, "max_output_tokens": 100, "min_output_tokens": 100, "decoder": {"temperature": 0.0, "do_sample": false},
            "batch_size": 1, "warmup_iterations": 0, "num_cycles": 1, "idle_baseline_sec": 0,
            "overlap_threshold": 0.9, "priority": 0, "user": "u", "labels": {}
        });
        serde_json::from_value(whole).expect("a spec")
    }

    #[test]
    fn a_text_needs_at_most_the_rest_of_the_context() {
        let text = spec(serde_json::json!(["a".repeat(5000)]));
        assert_eq!(CacheNeed::of(&text, None).input_tokens, 5000 + TEMPLATE_TOKENS);
        assert_eq!(CacheNeed::of(&text, Some(2048)).sequence_tokens(), 2048);
        let cut = Spec {
            max_input_tokens: Some(64),
            ..text
        };
        assert_eq!(CacheNeed::of(&cut, Some(2048)).input_tokens, 64);
    }

    #[test]
    fn only_the_prompts_of_a_set_that_are_run_count() {
        let texts = prompts::load("mixed-64", None).expect("the set");
        let longest = |count| texts.iter().take(count).map(String::len).max().unwrap_or(0) as u32;
        assert!(longest(1) < longest(64));
        let first = spec(serde_json::json!({"dataset": "mixed-64", "count": 1}));
        assert_eq!(CacheNeed::of(&first, None).input_tokens, longest(1) + TEMPLATE_TOKENS);
    }
}
