//! The one integration binary: each further one would link mistral.rs again.

mod api;
mod architecture;
mod bad_submissions;
mod command_line;
mod faults;
mod nvml;
mod openapi;
mod queue;
mod real_model;
mod recovery;
mod safetensors;
mod server;
mod tiny_llama;
