use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use joulemark_experiment::OfferedEngine;
use joulemark_measurement::clock::Monotonic;

/// How long an engine may take to describe itself: it loads its libraries and touches no GPU.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// A description has some hundred bytes.
const MAX_BYTES: u64 = 64 * 1024;
const LOOK_PERIOD: Duration = Duration::from_millis(5);
/// What an engine needs to start; it is told nothing else of the service's environment.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH"];

/// Runs `program --describe` and reads its answer.
///
/// # Errors
/// What came instead, as the end of a sentence that begins with the program.
pub fn ask(program: &Path, patience: Duration) -> Result<OfferedEngine, String> {
    let environment = ENVIRONMENT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .arg("--describe")
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("does not start: {error}"))?;
    let answer = answer(&mut child, patience);
    // Whatever it did: nothing of it is left, and a process that ended is reaped.
    let _ = child.kill();
    let _ = child.wait();
    let text = answer?;
    serde_json::from_str(&text).map_err(|error| {
        let shown: String = text.chars().take(80).collect();
        format!("answered with {shown:?}, which is no description: {error}")
    })
}

/// Holds the description to the name that the program was found by.
///
/// # Errors
/// As [`ask`].
pub fn named(offer: OfferedEngine, name: &str) -> Result<OfferedEngine, String> {
    match offer.name == name {
        true => Ok(offer),
        false => Err(format!("says that it is the engine {:?}", offer.name)),
    }
}

fn answer(child: &mut Child, patience: Duration) -> Result<String, String> {
    let start = Monotonic::now();
    let left = || patience.saturating_sub(Duration::from_secs_f64(Monotonic::now().sec_since(start).max(0.0)));
    let late = || format!("did not answer within {} s", patience.as_secs_f64());
    let output = child.stdout.take().ok_or("has no output")?;
    let (sender, receiver) = mpsc::channel();
    // Of its own: a pipe that a child of the engine holds open never ends.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.take(MAX_BYTES).read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    let text = receiver.recv_timeout(left()).map_err(|_| late())?;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if left().is_zero() => return Err(late()),
            Ok(None) => std::thread::sleep(LOOK_PERIOD),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    };
    match (status.success(), text) {
        (true, Ok(text)) => Ok(text),
        (true, Err(error)) => Err(format!("answered with no text: {error}")),
        (false, _) => Err(format!("ended with {status}")),
    }
}
