//! Runs one experiment: launches its ranks, drives them, reads their energy and stores the end of the attempt. Leaves
//! the choice of experiments to `queue`.

pub mod attempt;
pub mod compute;
pub mod conclude;
mod conditions;
mod cooling;
pub mod crash_note;
pub mod digests;
mod disturbed;
pub mod drive;
mod driven;
pub mod engine;
pub mod engine_pids;
pub mod failure;
mod fit;
mod gpu_readings;
pub mod host_memory;
pub mod kept_engine;
mod known_words;
pub mod launch;
mod measured;
pub mod milestones;
pub mod model_facts;
pub mod observations;
pub mod phases;
mod power;
pub mod prompts;
pub mod rank;
pub mod ranks;
pub mod running;
pub mod server;
mod server_processes;
pub mod settle;
mod steady;
mod steady_boards;
mod stop_rule;
