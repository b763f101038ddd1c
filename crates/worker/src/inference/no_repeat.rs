/// The rule that no sequence of `size` tokens occurs twice, as with Hugging Face's `no_repeat_ngram_size`.
#[derive(Debug)]
pub(super) struct NoRepeat {
    size: usize,
    /// Tokens of prompt and answer.
    tokens: Vec<u32>,
}

impl NoRepeat {
    /// Creates the rule with the tokens of `prompt`; `size` is at least 1.
    pub(super) fn new(size: u32, prompt: Vec<u32>) -> Self {
        Self {
            size: size.max(1) as usize,
            tokens: prompt,
        }
    }

    /// Adds the next token.
    pub(super) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }

    /// Masks every token that would repeat an earlier sequence.
    pub(super) fn mask(&self, logits: &mut [f32]) {
        let Some(start) = self.tokens.len().checked_sub(self.size - 1) else {
            return;
        };
        let last = &self.tokens[start..];
        let repeated = self.tokens.windows(self.size).filter_map(|stretch| {
            let (token, before) = stretch.split_last()?;
            (before == last).then_some(*token)
        });
        for token in repeated {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}
