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

/// How long an engine may take to describe itself: it loads its libraries and touches no GPU.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// A description has some hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;
/// How much of what it says on standard error is kept, and how long that is waited for once it has ended.
const MAX_WORDS: usize = 4096;
const LAST_WORDS: Duration = Duration::from_millis(200);
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// What came instead of a description, as the end of a sentence that begins with the program.
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
    /// The loader's word: the program did not begin.
    #[error("{}", without_library(.0))]
    LibraryMissing(String),
    #[error("answered with no text: {0}")]
    NotText(String),
    #[error("answered with {shown}, which is no description: {error}", shown = quoted(.shown))]
    NotRead { shown: String, error: String },
    #[error("says that it is the engine {}", quoted(.0))]
    OtherEngine(String),
    #[error("says that it was built for the CPU alone")]
    NotForGpus,
    #[error("says that it was built for compute capability {0}")]
    OtherCapability(ComputeCapability),
}

/// Runs `program --describe` and reads its answer.
///
/// # Errors
/// Returns what came instead.
pub fn ask(program: &Path, patience: Duration) -> Result<OfferedEngine, NoDescription> {
    let mut child = Command::new(program)
        .arg("--describe")
        .env_clear()
        .envs(environment::for_engines())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| NoDescription::NotStarted(error.to_string()))?;
    let answer = answer(&mut child, patience);
    // Whatever it did: nothing of it is left, and a process that ended is reaped.
    let _ = child.kill();
    let _ = child.wait();
    let text = answer?;
    serde_json::from_str(&text).map_err(|error| NoDescription::NotRead {
        shown: text.chars().take(80).collect(),
        error: error.to_string(),
    })
}

/// Holds the description to what the program's file is called: after an engine, and after the compute capability that it
/// was built for, which it need not tell itself.
///
/// # Errors
/// As [`ask`].
pub fn held_to_its_name(
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

fn answer(child: &mut Child, patience: Duration) -> Result<String, NoDescription> {
    let start = Monotonic::now();
    let left = || patience.saturating_sub(Duration::from_secs_f64(Monotonic::now().sec_since(start).max(0.0)));
    let output = child.stdout.take().ok_or(NoDescription::NoOutput)?;
    let errors = child.stderr.take().map(end_of);
    let (sender, receiver) = mpsc::channel();
    // Of its own: a pipe that a child of the engine holds open never ends.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.take(MAX_BYTES).read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    let text = receiver
        .recv_timeout(left())
        .map_err(|_| NoDescription::Late(patience))?;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if left().is_zero() => return Err(NoDescription::Late(patience)),
            Ok(None) => std::thread::sleep(LOOK_PERIOD),
            Err(error) => return Err(NoDescription::NotAwaited(error.to_string())),
        }
    };
    match (status.success(), text) {
        (true, Ok(text)) => Ok(text),
        (true, Err(error)) => Err(NoDescription::NotText(error.to_string())),
        (false, _) => {
            let said = errors.and_then(|errors| errors.recv_timeout(left().min(LAST_WORDS)).ok());
            Err(failure(status, &said.unwrap_or_default()))
        }
    }
}

/// Returns the end of what a pipe brings, once it has ended. All of it is read, so that who writes is never held up.
fn end_of(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut end, mut part) = (Vec::new(), [0; MAX_WORDS]);
        while let Ok(count @ 1..) = pipe.read(&mut part) {
            end.extend_from_slice(&part[..count]);
            end.drain(..end.len().saturating_sub(MAX_WORDS));
        }
        let _ = sender.send(String::from_utf8_lossy(&end).into_owned());
    });
    receiver
}

/// Returns what a failed program comes to. The loader ends one whose library it does not find with 127 and says which.
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
            "finds no NVIDIA driver: {library} is not here. Install the driver; a container needs the GPUs with the \
             capability compute (--gpus all)"
        );
    }
    if OF_CUDA.iter().any(|of_cuda| library.starts_with(of_cuda)) {
        return format!(
            "needs {library} of CUDA, which is not here: `deploy/build-cuda.sh` lays it in ../lib/joulemark from the \
             program's folder, or LD_LIBRARY_PATH names the folder of a CUDA toolkit that has it"
        );
    }
    format!("needs {library}, which is not here: install it")
}
