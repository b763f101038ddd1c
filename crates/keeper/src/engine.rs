//! Starts the engine's process, and explains why it could not be started.

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

/// An environment variable that identifies every process the engine starts, in whatever session and under whatever
/// parent.
pub const MARK_VARIABLE: &str = "ENGINE_OF";

/// Starts the ordered program in a new session, with `mark` in its environment and its output on the standard error of
/// this process. The kernel kills it when this process dies. Returns its pid.
///
/// # Errors
/// Returns a message that states what is wrong with the program and how to correct it.
pub fn start(order: &KeepOrder, mark: &str, cgroup: Option<File>) -> Result<u32, String> {
    let Some((program, arguments)) = order.command.split_first() else {
        return Err("the engine's command is empty; accepted is a program and its arguments".to_owned());
    };
    let output = || io::stderr().as_fd().try_clone_to_owned();
    let (output, errors) = output()
        .and_then(|first| Ok((first, output()?)))
        .map_err(|error| format!("the engine's output cannot be redirected: {error}"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .env(MARK_VARIABLE, mark)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    prepare_child(&mut command, cgroup);
    let child = command
        .spawn()
        .map_err(|error| explain_start_error(order, program, &error))?;
    Ok(child.id())
}

/// Adds the system calls that the child makes before it executes its program.
#[expect(
    unsafe_code,
    reason = "a forked child may only make system calls until its program runs"
)]
fn prepare_child(command: &mut Command, cgroup: Option<File>) {
    let keeper = getpid();
    let prepare = move || {
        setsid()?;
        // The keeper blocks the signals that it reads; the engine would inherit that and never receive them.
        SigSet::empty().thread_set_mask()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The signal is sent only for a later death of the parent.
        if getppid() != keeper {
            return Err(Errno::ESRCH.into());
        }
        if let Some(members) = &cgroup {
            // 0 stands for the writing process. An error is ignored: the keeper checks the membership and otherwise
            // relies on the process tree.
            let _ = write(members, b"0");
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls on values that it owns, and does not allocate.
    unsafe { command.pre_exec(prepare) };
}

/// Explains why a program could not be started.
fn explain_start_error(order: &KeepOrder, program: &str, error: &io::Error) -> String {
    let name = quoted(program);
    let path = order.environment.iter().rfind(|(name, _)| name == "PATH");
    let path = path.map_or_else(|| "not set".to_owned(), |(_, value)| quoted(value).to_string());
    let is_path = program.contains('/');
    match error.kind() {
        io::ErrorKind::NotFound if is_path => format!(
            "there is no program {name}, or the interpreter named in its first line is missing: install it, or correct \
             the command of the engine"
        ),
        io::ErrorKind::NotFound => format!(
            "the program {name} is not in PATH ({path}): install it there, or give its full path in the command of the \
             engine"
        ),
        io::ErrorKind::PermissionDenied if is_path => format!(
            "the program {name} may not be run: make it executable for the user of the service (chmod +x), and its \
             folders readable"
        ),
        // A folder of PATH without search permission gives the same error as a program that is not executable.
        io::ErrorKind::PermissionDenied => format!(
            "the program {name} is not in PATH ({path}), or may not be run by the user of the service: install it there, \
             make it executable (chmod +x), or give its full path in the command of the engine"
        ),
        _ => format!("the program {name} does not start: {error}"),
    }
}
