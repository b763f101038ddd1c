//! `joulemark meter -- COMMAND`: the service's own meter around any command, as `perf stat` does for counters.

mod command;
mod gpus;
mod idle;
mod reading;
mod table;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use self::command::{Failure, Signals};
use self::gpus::GpuChoice;
use self::idle::Idle;
use self::reading::Reading;
use super::energy;
use crate::config::{self, EnergyFlags};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{Warning, Window};
use joulemark_meter::{HostMeter, Watched};

/// As `timeout` and `env` use it: the program itself failed, not the command.
const OWN_FAILURE: u8 = 125;

/// A GPU's counter stands still for up to 100 ms at a time: the meter learns its period, and how it stood at the start,
/// from the five refreshes before it.
const ACQUAINTANCE: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(
    after_help = "The command's exit code is passed on, 128 + N when signal N ended it. joulemark's own failure is \
                        125, a command that cannot be run 126, one that is not found 127.\n\
                        Energy is the whole host's and the whole boards', whoever caused it; the command's own share of the \
                        CPU packages and memory, by the CPU time of its process tree, stands beside it. Signals that only this \
                        process gets go on to the command; the result is printed all the same."
)]
pub struct MeterArguments {
    /// GPUs to meter, by NVML index or UUID, separated by commas; `none` for none [default: all].
    #[arg(long, value_name = "LIST")]
    gpus: Option<String>,
    #[command(flatten)]
    energy: EnergyFlags,
    /// Let the host rest for so many seconds before the command, and tell what of its energy the devices would have drawn
    /// at rest.
    #[arg(long, value_name = "SEC", value_parser = clap::value_parser!(u32).range(1..=3600))]
    idle_baseline_sec: Option<u32>,
    /// Print JSON on standard output, after the command's own, instead of the table on standard error.
    #[arg(long)]
    json: bool,
    /// Write the JSON to this file, and leave standard output to the command.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Never fails as the other subcommands do: every failure has an exit code that tells it from the command's own.
pub fn run(arguments: MeterArguments) -> ExitCode {
    match metered(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("joulemark meter: {error:#}");
            let code = error.downcast_ref::<Failure>().map_or(OWN_FAILURE, Failure::exit_code);
            ExitCode::from(code)
        }
    }
}

fn metered(arguments: &MeterArguments) -> anyhow::Result<u8> {
    let choice = GpuChoice::parse(arguments.gpus.as_deref())?;
    // Checked and opened first: an hour's measurement must not be lost to a folder that is not there.
    let output = arguments
        .output
        .as_deref()
        .map(|path| std::fs::File::create(path).with_context(|| format!("{} cannot be written", path.display())));
    let mut output = output.transpose()?;
    // Before any thread is started: each inherits what is blocked, and the signals wait for us.
    let mut signals = Signals::block()?;
    let energy_options = energy::options(&config::load_here(None, &arguments.energy)?);
    let meter = HostMeter::start(joulemark_meter::open(&energy_options)).context("the energy meter does not start")?;
    let _attention = meter.attend();
    let devices = meter.devices();
    let gpus = choice.among(&devices.gpus, |name| meter.refused_slice(name))?;

    let idle = arguments.idle_baseline_sec.map(|sec| Idle::measure(&meter, sec));
    if !gpus.is_empty() {
        std::thread::sleep(ACQUAINTANCE);
    }
    // Two readings before the command is there: what it does first lies after them and is not split at the edge.
    meter.edge();
    meter.edge();
    // The window is the command's: however long a driver takes to be read, its energy is interpolated to these moments.
    let start = Monotonic::now();
    let running = signals.start(&arguments.command)?;
    let pid = running.pid();
    if let Err(error) = meter.track_from_its_start(pid, start) {
        tracing::debug!(%error, "the command's CPU time cannot be followed");
    }
    signals.wait_for(&running)?;
    let end = Monotonic::now();
    // Before the command is gone for good, with what it used last.
    meter.edge();
    let exit_code = running.exit_code()?;

    let window = Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    };
    let energy = meter.read(&window, &gpus, &[pid]);
    let watched = Watched {
        cycles: vec![(0, window)],
        // Which of the processes on a board are the command's is not known.
        gpus: Vec::new(),
        whose: "this command",
    };
    let reading = Reading {
        warnings: meter.disturbances(&watched).into_iter().map(of_the_command).collect(),
        idle: idle.map(|idle| idle.over(&energy)),
        findings: meter
            .devices()
            .findings
            .into_iter()
            .filter(|finding| !finding.works)
            .collect(),
        ..Reading::new(window, energy, &gpus, exit_code)
    };
    if let Some(file) = &mut output {
        serde_json::to_writer_pretty(&mut *file, &reading)?;
        writeln!(file).context("the result cannot be written")?;
    } else if arguments.json {
        let json = serde_json::to_string_pretty(&reading)?;
        writeln!(std::io::stdout(), "{json}").context("the result cannot be printed")?;
    }
    if !arguments.json && output.is_none() {
        eprint!("{}", table::table(&reading));
    }
    Ok(exit_code)
}

/// A command has no cycles.
fn of_the_command(warning: Warning) -> Warning {
    let message = warning.message.strip_suffix(" in cycle 0").unwrap_or(&warning.message);
    Warning {
        message: message.trim_end_matches(',').to_owned(),
        code: warning.code,
    }
}
