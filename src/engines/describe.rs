//! Runs an engine program to get its description, and checks it.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use joulemark_experiment::OfferedEngine;
use joulemark_measurement::clock::Monotonic;
use thiserror::Error;

use super::environment;
use joulemark_measurement::{ComputeCapability, quoted};

/// Timeout of a description: the engine loads its libraries but uses no GPU.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a description, which usually has some hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;
/// Maximum size in bytes of the kept end of its standard error.
const MAX_STDERR_BYTES: usize = 4096;
/// Time to wait for the end of standard error after the program has ended.
const STDERR_TIMEOUT: Duration = Duration::from_millis(200);
const POLL_PERIOD: Duration = Duration::from_millis(5);

/// Reason why a program gave no usable description. The message completes a sentence that begins with the program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoDescription {
    #[error("does not start: {0}")]
    NotStarted(String),
    #[error("has no output")]
    NoOutput,
    #[error("did not answer within {} s", .0.as_secs_f64())]
    Late(Duration),
    #[error("cannot be waited for: {0}")]
    NotAwaited(String),
    #[error("ended with {status}{}", shown_after(.said))]
    Failed { status: ExitStatus, said: String },
    /// Reported by the dynamic loader; the program did not start.
    #[error("{}", without_library(.0))]
    LibraryMissing(String),
    #[error("answered with something that is not text: {0}")]
    NotText(String),
    #[error("answered with {shown}, which is not a description: {error}", shown = quoted(.shown))]
    NotRead { shown: String, error: String },
    #[error("says that it is the engine {}", quoted(.0))]
    OtherEngine(String),
    #[error("says that it was built for the CPU only")]
    NotForGpus,
    #[error("says that it was built for compute capability {0}")]
    OtherCapability(ComputeCapability),
}

/// Runs `program --describe` and reads the description.
///
/// # Errors
/// Returns a [`NoDescription`].
pub fn ask(program: &Path, timeout: Duration) -> Result<OfferedEngine, NoDescription> {
    let mut child = Command::new(program)
        .arg("--describe")
        .env_clear()
        .envs(environment::for_engines())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| NoDescription::NotStarted(error.to_string()))?;
    let answer = answer(&mut child, timeout);
    // In any case no process is left running or unreaped.
    let _ = child.kill();
    let _ = child.wait();
    let text = answer?;
    serde_json::from_str(&text).map_err(|error| NoDescription::NotRead {
        shown: text.chars().take(80).collect(),
        error: error.to_string(),
    })
}

/// Checks a description against the name of the program's file, which contains the engine's name and for GPUs the
/// compute capability. Adds the capability when the program does not report it.
///
/// # Errors
/// Returns a [`NoDescription`] when they contradict each other.
pub fn checked_against_name(
    mut offer: OfferedEngine,
    name: &str,
    built_for: Option<ComputeCapability>,
) -> Result<OfferedEngine, NoDescription> {
    if offer.name != name {
        return Err(NoDescription::OtherEngine(offer.name));
    }
    if let Some(built_for) = built_for {
        if !offer.has_cuda() {
            return Err(NoDescription::NotForGpus);
        }
        match offer.compute_capability {
            Some(other) if other != built_for => return Err(NoDescription::OtherCapability(other)),
            _ => offer.compute_capability = Some(built_for),
        }
    }
    Ok(offer)
}

fn answer(child: &mut Child, timeout: Duration) -> Result<String, NoDescription> {
    let start = Monotonic::now();
    let left = || timeout.saturating_sub(Duration::from_secs_f64(Monotonic::now().sec_since(start).max(0.0)));
    let output = child.stdout.take().ok_or(NoDescription::NoOutput)?;
    let errors = child.stderr.take().map(end_of);
    let (sender, receiver) = mpsc::channel();
    // In a thread, since a pipe that a child of the engine holds open never ends.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.take(MAX_BYTES).read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    let text = receiver
        .recv_timeout(left())
        .map_err(|_| NoDescription::Late(timeout))?;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if left().is_zero() => return Err(NoDescription::Late(timeout)),
            Ok(None) => std::thread::sleep(POLL_PERIOD),
            Err(error) => return Err(NoDescription::NotAwaited(error.to_string())),
        }
    };
    match (status.success(), text) {
        (true, Ok(text)) => Ok(text),
        (true, Err(error)) => Err(NoDescription::NotText(error.to_string())),
        (false, _) => {
            let said = errors.and_then(|errors| errors.recv_timeout(left().min(STDERR_TIMEOUT)).ok());
            Err(failure(status, &said.unwrap_or_default()))
        }
    }
}

/// Returns a receiver of the last part of what a pipe brings, sent at its end. Reads everything, so that the writer
/// never blocks.
fn end_of(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut end, mut part) = (Vec::new(), [0; MAX_STDERR_BYTES]);
        while let Ok(count @ 1..) = pipe.read(&mut part) {
            end.extend_from_slice(&part[..count]);
            end.drain(..end.len().saturating_sub(MAX_STDERR_BYTES));
        }
        let _ = sender.send(String::from_utf8_lossy(&end).into_owned());
    });
    receiver
}

/// Returns the reason why a program failed. The dynamic loader exits with 127 and names the library when one is
/// missing.
fn failure(status: ExitStatus, said: &str) -> NoDescription {
    const LOADER: &str = "error while loading shared libraries: ";
    const NO_SUCH_PROGRAM: i32 = 127;
    let library = said
        .lines()
        .find_map(|line| line.split_once(LOADER)?.1.split_once(": cannot open"));
    match library {
        Some((library, _)) if status.code() == Some(NO_SUCH_PROGRAM) => {
            NoDescription::LibraryMissing(library.to_owned())
        }
        _ => NoDescription::Failed {
            status,
            said: said.lines().last().unwrap_or_default().trim().to_owned(),
        },
    }
}

fn shown_after(said: &str) -> String {
    match said {
        "" => String::new(),
        said => format!(": {}", quoted(said)),
    }
}

fn without_library(library: &str) -> String {
    const OF_CUDA: [&str; 4] = ["libcudart.", "libcublas", "libcurand.", "libcudnn"];
    if library.starts_with("libcuda.") {
        return format!(
            "finds no NVIDIA driver: {library} is missing. Install the driver; a container needs the GPUs with the \
             capability compute (--gpus all)"
        );
    }
    if OF_CUDA.iter().any(|of_cuda| library.starts_with(of_cuda)) {
        return format!(
            "needs {library} of CUDA, which is missing: `deploy/build-cuda.sh` puts it into ../lib/joulemark relative to \
             the program's folder; or set LD_LIBRARY_PATH to the folder of a CUDA toolkit that has it"
        );
    }
    format!("needs {library}, which is missing: install it")
}
