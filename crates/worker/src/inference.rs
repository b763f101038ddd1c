//! Runs prompts through a model and stamps every token. Owns the [`Engine`] interface, the choice of tokens and the
//! built-in prompt sets; knows nothing of experiments' cycles, processes or energy.

mod engine;
mod no_repeat;
pub mod prompts;
mod sampling;

pub use engine::{
    Compare, Engine, EngineDescription, EngineError, FinishReason, Generated, Generation, LoadRequest, TokenCounter,
    TopLogits,
};
pub use sampling::{Sampling, TokenChooser};
