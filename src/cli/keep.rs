//! `joulemark keep`: the process that owns a managed inference server.

use std::process::ExitCode;

use clap::Args;

#[derive(Debug, Args)]
pub struct KeepArguments {
    /// PID of the joulemark server; the engine is ended when that process ends.
    #[arg(long)]
    parent_pid: u32,
}

pub fn run(arguments: &KeepArguments) -> ExitCode {
    match joulemark_keeper::keep(arguments.parent_pid) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("joulemark: {error}");
            ExitCode::FAILURE
        }
    }
}
