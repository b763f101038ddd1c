//! Tests the engine under the service, with real models and the real protocol.

mod real_model;
mod safetensors;
