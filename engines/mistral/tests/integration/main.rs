//! The engine under the service: real models, through the real protocol.

mod real_model;
mod safetensors;
