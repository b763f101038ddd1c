//! The one integration binary: each further one would link mistral.rs again.

mod api;
mod architecture;
mod bad_submissions;
mod baselines;
mod command_line;
mod descendants;
mod devices;
mod doctor;
mod fake_powercap;
mod faults;
mod flops;
mod guarded;
mod honesty;
mod hostile;
mod keys;
mod limits;
mod meter_command;
mod mock_nvml;
mod nvml;
mod openapi;
mod overlapping;
mod peers;
mod proxies;
mod queue;
mod rapl;
mod real_model;
mod recovered_gpu;
mod recovery;
mod safetensors;
mod server;
#[path = "../mock_nvml/src/shape.rs"]
mod shape;
#[path = "../../benches/energy/simulation.rs"]
mod simulation;
mod surroundings;
mod timeseries;
mod tiny_llama;
mod true_energy;
mod undisturbed;
