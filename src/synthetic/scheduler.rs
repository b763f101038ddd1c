//! Decodes the sequences of a batch together, step by step, as engines do. Its faults imitate those of real schedulers
//! and kernels.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use joulemark_worker::inference::{Compare, FinishReason, Generated, Generation, TokenCounter, TopLogits};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use super::VOCAB_SIZE;
use super::model::SyntheticModel;

/// Number of logits that are kept for each step.
const LOGITS: u32 = 8;

/// Handle to a scheduler that runs in the background.
pub struct Scheduler {
    sequences: mpsc::UnboundedSender<Sequence>,
    /// While this is locked, no batch begins.
    gate: Arc<Mutex<()>>,
}

struct Sequence {
    asked: Generation,
    generated: Generated,
    ended: oneshot::Sender<Generated>,
}

impl Scheduler {
    /// Starts the scheduler in the background.
    pub fn start(model: SyntheticModel, counter: TokenCounter) -> Self {
        let (sequences, waiting) = mpsc::unbounded_channel();
        let gate = Arc::<Mutex<()>>::default();
        tokio::spawn(schedule(model, gate.clone(), counter, waiting));
        Self { sequences, gate }
    }

    /// Keeps batches from beginning until the guard is dropped.
    pub async fn hold(&self) -> OwnedMutexGuard<()> {
        self.gate.clone().lock_owned().await
    }

    /// Runs a sequence to its end; returns `None` when the scheduler has ended.
    pub async fn run(&self, asked: Generation) -> Option<Generated> {
        let (ended, end) = oneshot::channel();
        let now = Monotonic::now();
        let generated = Generated {
            token_ids: Vec::new(),
            chosen_at: Vec::new(),
            sent_at: now,
            completed_at: now,
            finish_reason: FinishReason::Length,
            top_logits: Vec::new(),
        };
        let sequence = Sequence {
            asked,
            generated,
            ended,
        };
        self.sequences.send(sequence).ok()?;
        end.await.ok()
    }
}

async fn schedule(
    model: SyntheticModel,
    gate: Arc<Mutex<()>>,
    counter: TokenCounter,
    mut waiting: mpsc::UnboundedReceiver<Sequence>,
) {
    let mut running: Vec<Sequence> = Vec::new();
    let mut steps = 0_u64;
    loop {
        if running.is_empty() {
            let Some(first) = waiting.recv().await else { return };
            running.push(first);
            drop(gate.lock().await);
        }
        while let Ok(next) = waiting.try_recv() {
            running.push(next);
        }
        let is_first = running.iter().any(|sequence| sequence.generated.token_ids.is_empty());
        let pause = if is_first { model.prefill_ms } else { model.decode_ms };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        steps += 1;
        let puts_back = model.preempt_from.is_some_and(|from| steps >= from) && steps.is_multiple_of(2);
        let stepping = if puts_back { 1 } else { running.len() };
        step(&model, &mut running, stepping, &counter);
        let is_done =
            |sequence: &mut Sequence| sequence.generated.token_ids.len() >= sequence.asked.max_output_tokens as usize;
        for mut sequence in running.extract_if(.., is_done) {
            sequence.generated.completed_at = Monotonic::now();
            // The receiver may be gone.
            let _ = sequence.ended.send(sequence.generated);
        }
    }
}

/// Generates the next token of the first `stepping` sequences.
fn step(model: &SyntheticModel, running: &mut [Sequence], stepping: usize, counter: &TokenCounter) {
    let count = running.len();
    let of_last = running.last().map(|sequence| context(&sequence.asked.tokens));
    for sequence in &mut running[..stepping] {
        let own = context(&sequence.asked.tokens);
        let read = match of_last {
            Some(last) if model.mix && count > 1 => last,
            _ => own,
        };
        compute_for(Duration::from_millis(model.busy_ms));
        sequence.take_token(read);
        counter.add_one();
    }
}

impl Sequence {
    fn take_token(&mut self, context: u64) {
        let position = self.generated.token_ids.len() as u32;
        if position >= self.asked.max_output_tokens {
            return;
        }
        let token = position % (VOCAB_SIZE - 1) + 1;
        let logits = match &self.asked.compare {
            Compare::No => None,
            Compare::Keep => Some((0..LOGITS).map(|nth| (nth * 97 + position) % VOCAB_SIZE).collect()),
            Compare::With(kept) => kept.get(position as usize).map(TopLogits::tokens),
        };
        let logits: Option<Vec<u32>> = logits;
        self.generated.top_logits.extend(logits.map(|tokens| TopLogits {
            token,
            logits: tokens.iter().map(|of| (*of, logit(context, position, *of))).collect(),
        }));
        self.generated.token_ids.push(token);
        self.generated.chosen_at.push(Monotonic::now());
    }
}

fn context(prompt: &[u32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    prompt.hash(&mut hasher);
    hasher.finish()
}

/// Returns a number between -8 and 8 that is derived from the context, position and token.
fn logit(context: u64, position: u32, token: u32) -> f32 {
    let mut hasher = DefaultHasher::new();
    (context, position, token).hash(&mut hasher);
    (hasher.finish() >> 40) as f32 / (1 << 20) as f32 - 8.0
}

/// Uses a CPU for a period, so that there is energy to attribute.
fn compute_for(period: Duration) {
    let start = Monotonic::now();
    let mut sum = 0_u64;
    while Monotonic::now().sec_since(start) < period.as_secs_f64() {
        sum = std::hint::black_box(sum.wrapping_add(1));
    }
}
