//! A client of servers with OpenAI's API (vLLM, SGLang, llama.cpp, TGI, Ollama and others) that records when each part
//! of an answer was read from the socket. Owns the wire: connections, event streams and what servers write into them.
//! Experiments, the origin of prompts and energy are left to other packages.

mod answer;
mod arrival;
mod chunk;
mod client;
mod connection;
mod endpoint;
mod event_stream;
mod failure;
mod probe;
mod ready;
mod request;
mod server_metrics;
mod server_name;
mod server_timings;
mod tokenize;
mod unique_prefix;

pub use answer::{Answer, Chunk};
pub use client::{Client, Secret};
pub use endpoint::{Endpoint, EndpointError};
pub use failure::{Failure, FailureReason};
pub use joulemark_measurement::CapabilityCard;
pub use probe::{ProbeError, probe, served_models};
pub use ready::{NotReady, ready};
pub use request::{Extras, Prompt, Request, Sampling};
pub use server_metrics::{ServerMetrics, server_metrics};
pub use server_timings::ServerTimings;
pub use tokenize::tokenize;
pub use unique_prefix::unique_prefix;
