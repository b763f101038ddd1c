//! The engine's own process: how it is started, and why it cannot be.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use joulemark_measurement::quoted;
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{getpid, getppid, setsid, write};

use crate::order::KeepOrder;

/// The variable by which what the engine starts is known again, whatever session and parent it has.
pub const MARK_VARIABLE: &str = "ENGINE_OF";

/// Starts the ordered program in a session of its own, with `mark` in its environment and its output where this process
/// has its standard error. It is killed should this process die. Returns its pid.
///
/// # Errors
/// What is wrong with the program, and what mends it.
pub fn start(order: &KeepOrder, mark: &str, cgroup: Option<File>) -> Result<u32, String> {
    let Some((program, arguments)) = order.command.split_first() else {
        return Err("the engine's command is empty; accepted is a program and its arguments".to_owned());
    };
    let output = || io::stderr().as_fd().try_clone_to_owned();
    let (output, errors) = output()
        .and_then(|first| Ok((first, output()?)))
        .map_err(|error| format!("there is no place for the engine's output: {error}"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .env(MARK_VARIABLE, mark)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    before_it_runs(&mut command, cgroup);
    let child = command.spawn().map_err(|error| why_not(order, program, &error))?;
    Ok(child.id())
}

#[expect(
    unsafe_code,
    reason = "a forked child may only make system calls until its program runs"
)]
fn before_it_runs(command: &mut Command, cgroup: Option<File>) {
    let keeper = getpid();
    let prepare = move || {
        setsid()?;
        // The keeper blocks signals in order to read them; a blocked one would never reach the engine.
        SigSet::empty().thread_set_mask()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The signal is only sent for a death that is still to come.
        if getppid() != keeper {
            return Err(Errno::ESRCH.into());
        }
        if let Some(members) = &cgroup {
            // 0 is who writes. Where it is refused the process tree has to do; the keeper looks what came of it.
            let _ = write(members, b"0");
        }
        Ok(())
    };
    // SAFETY: it makes system calls on what it owns, and allocates nothing.
    unsafe { command.pre_exec(prepare) };
}

fn why_not(order: &KeepOrder, program: &str, error: &io::Error) -> String {
    let name = quoted(program);
    let path = order.environment.iter().rfind(|(name, _)| name == "PATH");
    let path = path.map_or_else(|| "not set".to_owned(), |(_, value)| quoted(value).to_string());
    let is_path = program.contains('/');
    match error.kind() {
        io::ErrorKind::NotFound if is_path => format!(
            "there is no program {name}, or the interpreter that its first line names is missing: install it, or correct \
             the command of the engine"
        ),
        io::ErrorKind::NotFound => format!(
            "the program {name} is not in PATH ({path}): install it there, or give its whole path in the command of the \
             engine"
        ),
        io::ErrorKind::PermissionDenied if is_path => format!(
            "the program {name} may not be run: make it executable for the user of the service (chmod +x), and its \
             folders readable"
        ),
        // A folder of PATH that may not be searched looks the same as a program that may not be run.
        io::ErrorKind::PermissionDenied => format!(
            "the program {name} is not in PATH ({path}), or may not be run by the user of the service: install it there, \
             make it executable (chmod +x), or give its whole path in the command of the engine"
        ),
        _ => format!("the program {name} does not start: {error}"),
    }
}
