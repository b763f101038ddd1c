use std::process::ExitCode;

use clap::Args;

#[derive(Debug, Args)]
pub struct KeepArguments {
    /// The server's pid: the engine ends with it.
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
