//! Minimum number of bytes that a schedule has to read: in each pass the weights once, for each sequence its keys and
//! values once. Activations are left out, because a GPU holds them in its on-chip caches.

use super::operator::{Kind, Operator, Scope};
use super::schedule::{LatentCache, Schedule};
use super::shape::ModelShape;
use super::units::{Unit, Units};

/// Bytes of weights, keys and values that a schedule reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Bytes that the prefills read.
    pub prefill: f64,
    /// Bytes that the decode steps read.
    pub decode: f64,
    /// Number of tokens in decode steps.
    pub decode_tokens: f64,
    /// Bytes of weights that a decode step reads for one token.
    pub weights_per_token: f64,
    /// Bytes of keys and values that a decode step reads for one token, at the mean length of the context; 0 without
    /// decode steps.
    pub cache_per_token: f64,
}

impl Traffic {
    /// Returns the bytes of prefill and decode.
    pub fn total(&self) -> f64 {
        self.prefill + self.decode
    }

    /// Returns the bytes that a decode step reads for one token; `None` without decode steps.
    pub fn per_token(&self) -> Option<f64> {
        (self.decode_tokens > 0.0).then(|| self.decode / self.decode_tokens)
    }
}

/// A model's operators with the bytes of their weights.
pub(super) struct Weights<'a> {
    pub shape: &'a ModelShape,
    pub operators: &'a [Operator],
    pub bytes: &'a [f64],
}

/// Computes the bytes that a schedule reads.
pub(super) fn traffic(weights: &Weights<'_>, schedule: &Schedule, cache_bytes_per_element: f64) -> Traffic {
    let batch = f64::from(schedule.batch);
    let passes = weights.shape.passes();
    let (prefill, decode) = (schedule.prefill(passes), schedule.decode(passes));
    let cache_bytes = |latents, work: &Units| cache_elements(weights.shape, latents, work) * cache_bytes_per_element;
    let tokens = |work: &Units| work.get(Unit::Token);
    let prefill_passes = match &schedule.ran {
        Some(ran) => ran.prefills as f64,
        None => schedule.prefills() as f64 / batch,
    };
    let prefill_tokens = if prefill_passes > 0.0 {
        tokens(&prefill) as f64 / prefill_passes
    } else {
        0.0
    };
    let decode_weights = match &schedule.ran {
        Some(ran) => {
            let of_each = |(sequences, steps): &(u32, u64)| *steps as f64 * weights.read_in_pass(f64::from(*sequences));
            ran.decodes.iter().map(of_each).sum()
        }
        None => tokens(&decode) as f64 / batch * weights.read_in_pass(batch),
    };
    let steps = tokens(&decode).max(1) as f64;
    Traffic {
        prefill: prefill_passes * (weights.read_in_pass(prefill_tokens) + weights.of_encoder())
            + cache_bytes(schedule.latents.in_prefill(), &prefill),
        decode: decode_weights + cache_bytes(schedule.latents, &decode),
        decode_tokens: tokens(&decode) as f64,
        weights_per_token: if tokens(&decode) > 0 {
            decode_weights / steps
        } else {
            weights.read_in_pass(batch) / batch
        },
        cache_per_token: cache_bytes(schedule.latents, &decode) / steps,
    }
}

/// Returns the number of cached elements that are read. A prefill reads the keys and values that it has just computed
/// once.
fn cache_elements(shape: &ModelShape, latents: LatentCache, work: &Units) -> f64 {
    let of_token = match (&shape.latent, latents) {
        (Some(latent), LatentCache::Compressed | LatentCache::Absorbed) => latent.key_value_rank + latent.rope_dim,
        (Some(_), LatentCache::Expanded) => shape.heads * (shape.head_dim + shape.value_head_dim),
        (None, _) => shape.kv_heads * (shape.head_dim + shape.value_head_dim),
    };
    let sliding = shape.sliding.as_ref().map_or(0, |sliding| sliding.layers);
    let number = |unit: Unit| work.get(unit) as f64;
    // A decode step has one query, so its visible pairs are its keys.
    let in_window = number(Unit::WindowedPair).min(number(Unit::Key));
    let full = (shape.attention_layers() - sliding) as f64;
    let cross = shape.layers as f64 * number(Unit::CrossPair);
    let positions = full * number(Unit::Key) + sliding as f64 * in_window + cross;
    positions * of_token as f64 + shape.state_elements() as f64 * number(Unit::Step)
}

impl Weights<'_> {
    /// Returns the bytes of weights that one pass over `tokens` tokens reads.
    fn read_in_pass(&self, tokens: f64) -> f64 {
        let read = |(operator, bytes): (&Operator, &f64)| match (operator.kind, operator.scope) {
            (Kind::Lookup, _) => bytes * (tokens / operator.rows as f64).min(1.0),
            (Kind::Logits, _) if self.shape.tied() && *bytes == 0.0 => self.embedding(),
            (Kind::OfEncoder, _) => 0.0,
            (_, Scope::Experts) => bytes * self.share_of_experts(tokens),
            _ => *bytes,
        };
        self.operators.iter().zip(self.bytes).map(read).sum()
    }

    /// Returns the bytes of weights that the encoder reads, once for each request.
    fn of_encoder(&self) -> f64 {
        let weights = self.operators.iter().zip(self.bytes);
        weights
            .filter(|(operator, _)| operator.kind == Kind::OfEncoder)
            .map(|(_, bytes)| bytes)
            .sum()
    }

    /// Returns the bytes of the embedding.
    fn embedding(&self) -> f64 {
        let embedding = self.operators.iter().zip(self.bytes);
        let found = embedding
            .into_iter()
            .find(|(operator, _)| operator.name == "embed_tokens");
        found.map_or(0.0, |(_, bytes)| *bytes)
    }

    /// Returns the share of experts that `tokens` tokens read. One token reads k of n experts. For several tokens the
    /// router is assumed to choose all experts equally often.
    fn share_of_experts(&self, tokens: f64) -> f64 {
        let Some(experts) = &self.shape.experts else { return 0.0 };
        let chosen = experts.per_token as f64 / experts.count as f64;
        1.0 - (1.0 - chosen).powf(tokens)
    }
}

#[cfg(test)]
mod tests;
