//! Runs prompts through a model and stamps every token. Owns the [`Engine`] interface, the choice of tokens and the
//! built-in prompt sets; knows nothing of experiments' cycles, processes or energy.

mod engine;
mod mistral;
pub mod prompts;
mod sampling;
mod synthetic;

pub use engine::{
    Engine, EngineDescription, EngineError, FinishReason, Generated, Generation, LoadRequest, TokenCounter,
};
pub use mistral::{MistralEngine, VERSION as MISTRALRS_VERSION};
pub use sampling::{Sampling, TokenChooser};
pub use synthetic::{SYNTHETIC_PREFIX, SyntheticEngine, SyntheticModel};
