use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use joulemark_experiment::OfferedEngine;
use joulemark_measurement::clock::Monotonic;
use thiserror::Error;

use super::environment;
use joulemark_measurement::quoted;

/// How long an engine may take to describe itself: it loads its libraries and touches no GPU.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// A description has some hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;
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
    #[error("ended with {0}")]
    Failed(ExitStatus),
    #[error("answered with no text: {0}")]
    NotText(String),
    #[error("answered with {shown}, which is no description: {error}", shown = quoted(.shown))]
    NotRead { shown: String, error: String },
    #[error("says that it is the engine {}", quoted(.0))]
    OtherEngine(String),
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
        .stderr(Stdio::null())
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

/// Holds the description to the name that the program was found by.
///
/// # Errors
/// As [`ask`].
pub fn named(offer: OfferedEngine, name: &str) -> Result<OfferedEngine, NoDescription> {
    match offer.name == name {
        true => Ok(offer),
        false => Err(NoDescription::OtherEngine(offer.name)),
    }
}

fn answer(child: &mut Child, patience: Duration) -> Result<String, NoDescription> {
    let start = Monotonic::now();
    let left = || patience.saturating_sub(Duration::from_secs_f64(Monotonic::now().sec_since(start).max(0.0)));
    let output = child.stdout.take().ok_or(NoDescription::NoOutput)?;
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
        (false, _) => Err(NoDescription::Failed(status)),
    }
}
