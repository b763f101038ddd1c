use std::iter::Sum;
use std::ops::Add;

use super::shape::ModelShape;
use super::weights::WeightRole;

/// Positions whose logits are computed in prefill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logits {
    /// The last position only: what a server runs. mistral.rs 0.8.1 takes the last hidden state before lm_head
    /// (`extract_logits` in its models), so this is what it really computes.
    #[default]
    Last,
    /// Every position: what Hugging Face's `forward` computes, and what FLOP counters report for it.
    All,
}

/// Tokens of one request as the engine counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTokens {
    pub input: u32,
    pub output: u32,
}

/// FLOPs of one or more requests, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flops {
    pub prefill: u128,
    pub decode: u128,
}

impl Flops {
    pub fn total(self) -> u128 {
        self.prefill + self.decode
    }
}

impl Add for Flops {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            prefill: self.prefill + other.prefill,
            decode: self.decode + other.decode,
        }
    }
}

impl Sum for Flops {
    fn sum<I: Iterator<Item = Self>>(requests: I) -> Self {
        requests.fold(Self::default(), Add::add)
    }
}

/// FLOPs of the forward pass over a prompt of `tokens`, with an empty cache.
pub fn count_prefill(shape: &ModelShape, tokens: u32, logits: Logits) -> u128 {
    MultiplyAdds::of(shape).prefill(tokens, logits)
}

/// FLOPs of the forward pass of one token that sees `cached` earlier tokens and itself.
pub fn count_decode_step(shape: &ModelShape, cached: u32) -> u128 {
    let costs = MultiplyAdds::of(shape);
    2 * (costs.linear + costs.logits + costs.attention * (u128::from(cached) + 1))
}

/// FLOPs of one request: a prefill of N input tokens, which gives the first output token (logits of the last position
/// only), then M − 1 decode steps with N, N + 1, … cached tokens. The last output token passes no layer.
pub fn count_request(shape: &ModelShape, tokens: RequestTokens) -> Flops {
    let costs = MultiplyAdds::of(shape);
    Flops {
        prefill: costs.prefill(tokens.input, Logits::Last),
        decode: costs.decode(tokens),
    }
}

/// Multiply-adds of one token through the linear layers, of one row of logits, and of one pair of tokens in attention.
struct MultiplyAdds {
    linear: u128,
    logits: u128,
    attention: u128,
}

impl MultiplyAdds {
    fn of(shape: &ModelShape) -> Self {
        let sum = |role: WeightRole| {
            let weights = shape.weights();
            let of_role = weights.iter().filter(|weight| weight.role == role);
            of_role
                .map(|weight| weight.elements() * u128::from(weight.active))
                .sum()
        };
        let per_head = u128::from(shape.head_dim + shape.value_head_dim);
        Self {
            linear: sum(WeightRole::Product),
            logits: sum(WeightRole::Logits),
            attention: u128::from(shape.layers) * u128::from(shape.heads) * per_head,
        }
    }

    fn prefill(&self, tokens: u32, logits: Logits) -> u128 {
        let tokens = u128::from(tokens);
        let logit_rows = match logits {
            Logits::Last => tokens.min(1),
            Logits::All => tokens,
        };
        2 * (self.linear * tokens + self.logits * logit_rows + self.attention * tokens * tokens)
    }

    // The steps see N + 1, N + 2, … N + M − 1 tokens: their sum is steps · N + steps · (steps + 1) / 2.
    fn decode(&self, tokens: RequestTokens) -> u128 {
        let steps = u128::from(tokens.output.saturating_sub(1));
        let seen = steps * u128::from(tokens.input) + steps * (steps + 1) / 2;
        2 * ((self.linear + self.logits) * steps + self.attention * seen)
    }
}
