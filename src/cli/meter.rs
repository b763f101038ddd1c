//! `joulemark meter -- COMMAND`: meters any command with the service's energy meter, as `perf stat` does with counters.

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

/// Exit code when joulemark itself failed, as for `timeout` and `env`.
const OWN_FAILURE: u8 = 125;

/// Time before the command in which the meter observes a GPU's counter. It updates every 100 ms or less; five refresh
/// periods give its period and phase.
const COUNTER_OBSERVATION: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(
    after_help = "The exit code is the command's, or 128 + N if signal N ended it. It is \
                        125 if joulemark failed, 126 if the command cannot be run, 127 if it is not found.\n\
                        Energy is that of the whole host and of whole GPUs, including what other processes use. The command's \
                        share of CPU packages and memory, by the CPU time of its process tree, is printed as well. A signal that \
                        only joulemark receives is passed on to the command, and the result is still printed."
)]
pub struct MeterArguments {
    /// GPUs to meter, by NVML index or UUID, separated by commas, or `none` [default: all].
    #[arg(long, value_name = "LIST")]
    gpus: Option<String>,
    #[command(flatten)]
    energy: EnergyFlags,
    /// Measure the idle baseline for SEC seconds before the command, and print the energy that the idle devices would
    /// have used during the command.
    #[arg(long, value_name = "SEC", value_parser = clap::value_parser!(u32).range(1..=3600))]
    idle_baseline_sec: Option<u32>,
    /// Print JSON on standard output, after the output of the command, instead of the table on standard error.
    #[arg(long)]
    json: bool,
    /// Write the JSON to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs the subcommand. Its own failures have the exit codes 125 to 127, as for `env`, to distinguish them from the
/// command's.
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
    // Opened first, so that a long measurement is not lost because its output cannot be written.
    let output = arguments
        .output
        .as_deref()
        .map(|path| std::fs::File::create(path).with_context(|| format!("{} cannot be written", path.display())));
    let mut output = output.transpose()?;
    // Before any thread is started, since threads inherit the blocked signals.
    let mut signals = Signals::block()?;
    let energy_options = energy::options(&config::load_here(None, &arguments.energy)?);
    let meter =
        HostMeter::start(joulemark_meter::open(&energy_options)).context("the energy meter cannot be started")?;
    let _fast_polling = meter.poll_faster();
    let devices = meter.devices();
    let gpus = choice.among(&devices.gpus, |name| meter.refused_slice(name))?;

    let idle = arguments.idle_baseline_sec.map(|sec| Idle::measure(&meter, sec));
    if !gpus.is_empty() {
        std::thread::sleep(COUNTER_OBSERVATION);
    }
    // Two readings just before the start, so that no earlier interval contains activity of the command.
    meter.edge();
    meter.edge();
    // The window is the command's; energy is interpolated to its start and end.
    let start = Monotonic::now();
    let running = signals.start(&arguments.command)?;
    let pid = running.pid();
    if let Err(error) = meter.track_from_its_start(pid, start) {
        tracing::debug!(%error, "the CPU time of the command cannot be tracked");
    }
    signals.wait_for(&running)?;
    let end = Monotonic::now();
    // Before the process is reaped, while its CPU time can still be read.
    meter.edge();
    let exit_code = running.exit_code()?;

    let window = Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    };
    let energy = meter.read(&window, &gpus, &[pid]);
    let watched = Watched {
        cycles: vec![(0, window)],
        // The processes of the command on a GPU are not known.
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

/// Removes the number of the cycle, since a command has no cycles.
fn of_the_command(warning: Warning) -> Warning {
    let message = warning.message.strip_suffix(" in cycle 0").unwrap_or(&warning.message);
    Warning {
        message: message.trim_end_matches(',').to_owned(),
        code: warning.code,
    }
}
