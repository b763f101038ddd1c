//! Programs that the tests run as processes: `keep PID` is a keeper, `serve ORDER` a server with one keeper, whose
//! events it passes to its standard output.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Command, ExitCode, Stdio};

use command_fds::{CommandFdExt as _, FdMapping};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["keep", parent_pid] => {
            let outcome = joulemark_keeper::keep(parent_pid.parse().expect("a pid"));
            outcome.unwrap_or_else(|error| {
                eprintln!("{error}");
                ExitCode::FAILURE
            })
        }
        ["serve", order] => serve(order),
        _ => ExitCode::FAILURE,
    }
}

fn serve(order: &str) -> ExitCode {
    let events = std::io::stdout().as_fd().try_clone_to_owned().expect("standard output");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["keep", &std::process::id().to_string()])
        .stdin(Stdio::piped());
    let mapping = FdMapping {
        parent_fd: events,
        child_fd: 3,
    };
    command.fd_mappings(vec![mapping]).expect("one descriptor");
    let mut keeper = command.spawn().expect("a keeper");
    // Open until this process is killed.
    let mut orders = keeper.stdin.take().expect("it is piped");
    writeln!(orders, "{order}").expect("it reads");
    let is_well = keeper.wait().expect("it is ours").success();
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
