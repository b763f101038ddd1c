//! An engine without a model: known tokens in known time, and faults on demand. For tests of the service itself at
//! scale and under failure; a server takes it only with `--allow-synthetic-engine`, and its results say so.

use std::{process::Command, str::FromStr, time::Duration};

use thiserror::Error;

use joulemark_experiment::ChatMessage;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::quoted;
use joulemark_worker::inference::{
    Engine, EngineDescription, EngineError, FinishReason, Generated, Generation, LoadRequest, TokenCounter,
};

/// A `model_name` that starts so asks for this engine; the rest is `key=value` pairs, e.g.
/// `synthetic:prefill_ms=5,decode_ms=1`.
pub const SYNTHETIC_PREFIX: &str = "synthetic:";
const VOCAB_SIZE: u32 = 1024;
const MAX_SEQUENCE_TOKENS: u32 = 1 << 20;

/// What the engine pretends to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyntheticModel {
    pub load_ms: u64,
    pub prefill_ms: u64,
    pub decode_ms: u64,
    /// Milliseconds for which a CPU computes, rather than sleeps, for each token.
    pub busy_ms: u64,
    /// Processes that it starts and leaves computing.
    pub children: u64,
    /// Megabytes that it fills once it is loaded.
    pub memory_mb: u64,
    pub fault: Option<Fault>,
    /// Prints each prompt, and has it in what it says of its faults, as engines do.
    pub echo: bool,
    /// Refuses each prompt and quotes it, as a chat template may.
    pub refuse: bool,
}

/// Strikes on the request with this number, counted from 0 over warm-up and cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Panic(u64),
    Hang(u64),
    Exit(u64),
    Error(u64),
}

/// The part of a synthetic model's name that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SyntheticNameError {
    #[error("does not start with {SYNTHETIC_PREFIX:?}")]
    Prefix,
    #[error(
        "has {}; accepted are load_ms, prefill_ms, decode_ms, busy_ms, children, memory_mb, panic_at, hang_at, exit_at, \
         error_at, echo and refuse, each with a whole number",
        quoted(.0)
    )]
    Parameter(String),
}

impl FromStr for SyntheticModel {
    type Err = SyntheticNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let parameters = name.strip_prefix(SYNTHETIC_PREFIX).ok_or(SyntheticNameError::Prefix)?;
        let mut model = Self::default();
        for pair in parameters.split(',').filter(|pair| !pair.is_empty()) {
            let read = pair
                .split_once('=')
                .and_then(|(key, value)| Some((key, value.parse::<u64>().ok()?)));
            let Some((key, value)) = read else {
                return Err(SyntheticNameError::Parameter(pair.to_owned()));
            };
            match key {
                "load_ms" => model.load_ms = value,
                "prefill_ms" => model.prefill_ms = value,
                "decode_ms" => model.decode_ms = value,
                "busy_ms" => model.busy_ms = value,
                "children" => model.children = value,
                "memory_mb" => model.memory_mb = value,
                "panic_at" => model.fault = Some(Fault::Panic(value)),
                "hang_at" => model.fault = Some(Fault::Hang(value)),
                "exit_at" => model.fault = Some(Fault::Exit(value)),
                "error_at" => model.fault = Some(Fault::Error(value)),
                "echo" => model.echo = value != 0,
                "refuse" => model.refuse = value != 0,
                _ => return Err(SyntheticNameError::Parameter(key.to_owned())),
            }
        }
        Ok(model)
    }
}

pub struct SyntheticEngine {
    model: SyntheticModel,
    counter: TokenCounter,
    /// What it was asked to run on; it computes nothing.
    device: &'static str,
    requests: std::sync::atomic::AtomicU64,
    /// Held, and never looked at.
    _memory: Vec<Vec<u8>>,
}

impl Engine for SyntheticEngine {
    async fn load(request: LoadRequest) -> Result<Self, EngineError> {
        let name = request.path.to_string_lossy();
        let model = name
            .parse::<SyntheticModel>()
            .map_err(|error| EngineError::Load(error.to_string()))?;
        tokio::time::sleep(Duration::from_millis(model.load_ms)).await;
        for _ in 0..model.children {
            let child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn();
            child.map_err(|error| EngineError::Load(format!("a child process does not start: {error}")))?;
        }
        // Each byte is written, or the kernel would not have to find room for it.
        let memory = (0..model.memory_mb).map(|_| vec![1; 1 << 20]).collect();
        Ok(Self {
            model,
            counter: request.counter,
            device: if request.force_cpu { "cpu" } else { "cuda (pretended)" },
            requests: 0.into(),
            _memory: memory,
        })
    }

    fn description(&self) -> EngineDescription {
        EngineDescription {
            device: self.device.to_owned(),
            activation_dtype: "none".to_owned(),
            max_sequence_tokens: MAX_SEQUENCE_TOKENS,
            vocab_size: VOCAB_SIZE,
            special_token_ids: vec![0],
        }
    }

    /// One token a byte.
    async fn tokenize(&self, prompt: &str, _raw: bool) -> Result<Vec<u32>, EngineError> {
        if self.model.echo {
            println!("{prompt}");
            eprintln!("{prompt}");
        }
        if self.model.refuse {
            return Err(EngineError::Tokenize(format!(
                "the synthetic template refuses {}",
                quoted(prompt)
            )));
        }
        Ok(prompt.bytes().map(|byte| u32::from(byte) + 1).collect())
    }

    /// Returns one token a byte of what is said, and one for each message, as a template would put before it.
    async fn tokenize_chat(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, EngineError> {
        let tokens = messages.iter().flat_map(|message| {
            let said = message.content.bytes().map(|byte| u32::from(byte) + 1);
            std::iter::once(message.role as u32 + 300).chain(said)
        });
        Ok(tokens.collect())
    }

    async fn generate(&self, generation: Generation) -> Result<Generated, EngineError> {
        let number = self.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.strike(number, &self.quoted(&generation.tokens)).await?;
        let sent_at = Monotonic::now();
        let mut chosen_at = Vec::new();
        for position in 0..generation.max_output_tokens {
            let pause = if position == 0 {
                self.model.prefill_ms
            } else {
                self.model.decode_ms
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
            compute_for(Duration::from_millis(self.model.busy_ms));
            chosen_at.push(Monotonic::now());
            self.counter.add_one();
        }
        let token_ids = (0..generation.max_output_tokens)
            .map(|position| position % (VOCAB_SIZE - 1) + 1)
            .collect();
        let finish_reason = FinishReason::Length;
        Ok(Generated {
            token_ids,
            chosen_at,
            sent_at,
            completed_at: Monotonic::now(),
            finish_reason,
        })
    }
}

/// Uses a CPU, so that there is energy to attribute.
fn compute_for(period: Duration) {
    let start = Monotonic::now();
    let mut sum = 0_u64;
    while Monotonic::now().sec_since(start) < period.as_secs_f64() {
        sum = std::hint::black_box(sum.wrapping_add(1));
    }
}

impl SyntheticEngine {
    /// Returns what its words have behind them: the prompt, where it echoes.
    fn quoted(&self, tokens: &[u32]) -> String {
        let text = tokens
            .iter()
            .map(|token| token.saturating_sub(1) as u8)
            .collect::<Vec<_>>();
        match self.model.echo {
            true => format!(": {}", String::from_utf8_lossy(&text)),
            false => String::new(),
        }
    }

    async fn strike(&self, number: u64, quoted: &str) -> Result<(), EngineError> {
        match self.model.fault {
            Some(Fault::Panic(at)) if at == number => panic!("the synthetic engine was asked to panic{quoted}"),
            Some(Fault::Hang(at)) if at == number => std::future::pending().await,
            Some(Fault::Exit(at)) if at == number => {
                eprintln!("the synthetic engine was asked to exit{quoted}");
                std::process::exit(7)
            }
            Some(Fault::Error(at)) if at == number => Err(EngineError::Generate(format!(
                "the synthetic engine was asked to fail{quoted}"
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_the_engine_pretends() {
        let model: SyntheticModel = "synthetic:prefill_ms=5,decode_ms=1,panic_at=3".parse().unwrap();
        assert_eq!(model.prefill_ms, 5);
        assert_eq!(model.fault, Some(Fault::Panic(3)));
        assert_eq!("synthetic:".parse(), Ok(SyntheticModel::default()));
        assert!(
            "synthetic:speed=1"
                .parse::<SyntheticModel>()
                .unwrap_err()
                .to_string()
                .contains("accepted are load_ms")
        );
    }
}
