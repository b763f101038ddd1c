//! The one integration binary: each further one would link mistral.rs again.

mod api;
mod architecture;
mod bad_submissions;
mod baselines;
mod callbacks;
mod client;
mod client_command;
mod client_proxy;
mod client_terminal;
mod client_waits;
mod command_line;
mod compatibility;
mod database;
mod descendants;
mod description;
mod devices;
mod docs;
mod doctor;
mod events;
mod export;
mod exposition;
mod fake_powercap;
mod faults;
mod flops;
mod front;
mod fronted;
mod fronted_hostile;
mod guarded;
mod honesty;
#[path = "../../benches/queue/host.rs"]
mod host;
mod hostile;
mod idempotency;
mod keys;
#[path = "../../benches/queue/kills.rs"]
mod kills;
mod kills_quick;
mod limits;
mod logs;
#[path = "../../benches/queue/makespan.rs"]
mod makespan;
mod many_servers;
mod meter_command;
mod metrics;
mod mock_nvml;
mod nodes;
mod nvml;
mod otlp;
mod outage;
mod overlapping;
mod peers;
mod postgres_cluster;
mod proxies;
mod queue;
mod rapl;
mod real_model;
mod receiver;
mod recovered_gpu;
mod recovery;
mod representations;
mod safetensors;
mod same_host;
mod server;
mod service_manager;
#[path = "../mock_nvml/src/shape.rs"]
mod shape;
#[path = "../../benches/energy/simulation.rs"]
mod simulation;
mod sse;
mod surroundings;
mod timeseries;
mod tiny_llama;
mod traces;
mod true_energy;
mod undisturbed;
#[path = "../../benches/queue/verdict.rs"]
mod verdict;
