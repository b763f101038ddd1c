/// The rule that no `size` tokens in a row come twice, as Hugging Face's `no_repeat_ngram_size` has it.
#[derive(Debug)]
pub(super) struct NoRepeat {
    size: usize,
    /// Of prompt and answer.
    tokens: Vec<u32>,
}

impl NoRepeat {
    /// Begins behind `prompt`; `size` is the length of what is not to come again, 1 or more.
    pub(super) fn new(size: u32, prompt: Vec<u32>) -> Self {
        Self {
            size: size.max(1) as usize,
            tokens: prompt,
        }
    }

    /// Notes the next token.
    pub(super) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }

    /// Leaves no token that would repeat what stands there already.
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
