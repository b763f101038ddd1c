//! Runs prompts through a model and records the time of every token. Owns the [`Engine`] interface, the choice of
//! tokens and the built-in prompt sets; cycles of experiments, processes and energy are left to others.

mod engine;
mod no_repeat;
pub mod prompts;
mod sampling;

pub use engine::{
    Compare, Engine, EngineDescription, EngineError, FinishReason, Generated, Generation, LoadRequest, TokenCounter,
    TopLogits,
};
pub use sampling::{Sampling, TokenChooser};
