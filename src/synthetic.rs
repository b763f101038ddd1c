//! The synthetic engine, which has no model: it generates known tokens in known time, and faults on demand. It is for
//! tests of the service at scale and under failure. A server accepts it only with `--allow-synthetic-engine`, and its
//! results carry a warning.

mod model;
mod scheduler;

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use joulemark_experiment::ChatMessage;
use joulemark_measurement::quoted;
use joulemark_worker::inference::{
    Compare, Engine, EngineDescription, EngineError, Generated, Generation, LoadRequest,
};

pub use model::{Fault, SYNTHETIC_PREFIX, SyntheticModel, SyntheticNameError};
use scheduler::Scheduler;

const VOCAB_SIZE: u32 = 1024;
const MAX_SEQUENCE_TOKENS: u32 = 1 << 20;

/// An engine that generates tokens without a model.
pub struct SyntheticEngine {
    model: SyntheticModel,
    scheduler: Scheduler,
    /// The requested device, although nothing is computed on it.
    device: &'static str,
    requests: AtomicU64,
    /// Allocated memory that is never read.
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
        // Each byte is written, so that the kernel really allocates the memory.
        let memory = (0..model.memory_mb).map(|_| vec![1; 1 << 20]).collect();
        Ok(Self {
            scheduler: Scheduler::start(model.clone(), request.counter),
            model,
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
            mixes_lengths: true,
            layers: Vec::new(),
            paged_cache_tokens: None,
        }
    }

    /// Returns one token per byte.
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

    /// Returns one token per byte of the contents, and one before each message, as a template would add.
    async fn tokenize_chat(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, EngineError> {
        let tokens = messages.iter().flat_map(|message| {
            let said = message.content.bytes().map(|byte| u32::from(byte) + 1);
            std::iter::once(message.role as u32 + 300).chain(said)
        });
        Ok(tokens.collect())
    }

    async fn hold(&self) -> Box<dyn Send> {
        Box::new(self.scheduler.hold().await)
    }

    async fn generate(&self, generation: Generation) -> Result<Generated, EngineError> {
        if generation.compare == Compare::No {
            let number = self.requests.fetch_add(1, Ordering::Relaxed);
            self.strike(number, &self.quoted(&generation.tokens)).await?;
        }
        let gone = || EngineError::Generate("the synthetic scheduler is gone".to_owned());
        self.scheduler.run(generation).await.ok_or_else(gone)
    }
}

impl SyntheticEngine {
    /// Returns the suffix of its messages: with `echo` the prompt, otherwise nothing.
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
