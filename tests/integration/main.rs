//! The one integration binary: each further one would be linked anew with each change.

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
mod disturbances;
mod docs;
mod doctor;
mod engines;
mod events;
mod export;
mod exposition;
mod faults;
mod flops;
mod front;
mod fronted;
mod fronted_hostile;
mod guarded;
mod hanging_driver;
mod honesty;
mod hostile;
mod idempotency;
mod keys;
mod kills_quick;
mod limits;
mod logs;
mod many_servers;
mod meter_command;
mod metrics;
mod nodes;
mod nvml;
mod otlp;
mod outage;
mod overlapping;
mod peers;
mod proxies;
mod queue;
mod rapl;
mod receiver;
mod recovered_gpu;
mod recovery;
mod refused_gpus;
mod representations;
mod same_host;
mod service_manager;
mod sse;
mod timeseries;
mod traces;
mod true_energy;
mod undisturbed;

use joulemark_testkit::{
    eight_boards::EightBoards, fake_powercap, host, installed, kills, makespan, mock_nvml, models, postgres_cluster,
    server, shape, simulation, tiny_llama,
};
