//! `joulemark doctor`: whether each energy source and each engine works, why not, and how to fix it.

mod examination;
mod power;
mod servers;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use self::examination::Examination;
use super::energy;
use crate::config::{self, EnergyFlags, PowerFlags};
use crate::engines::Engines;
use joulemark_measurement::Window;
use joulemark_meter::HostMeter;

/// Duration of the measurement: ten refresh periods of the slowest counter.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Args, Serialize)]
#[command(
    after_help = "Exit code 0 when at least one source measured energy just now, 1 when there are only estimates or \
                        nothing."
)]
pub struct DoctorArguments {
    /// Configuration file; its engines are checked as well [env: JOULEMARK_CONFIG].
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    energy: EnergyFlags,
    #[command(flatten)]
    #[serde(flatten)]
    power: PowerFlags,
    /// Folder of the engine programs [default: beside this program].
    #[arg(long)]
    engine_dir: Option<String>,
    /// Print JSON.
    #[arg(long)]
    #[serde(skip)]
    json: bool,
}

pub fn run(arguments: DoctorArguments) -> ExitCode {
    match examined(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("joulemark doctor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn examined(arguments: &DoctorArguments) -> anyhow::Result<bool> {
    let layered = config::load_here(arguments.config.as_deref(), arguments)?;
    let engines = Engines::beside_this_program(layered.settings.service.engine_folder())
        .context("this program's own path cannot be found")?;
    let opened = joulemark_meter::open(&energy::options(&layered));
    let meter = HostMeter::start(opened).context("the energy meter cannot be started")?;
    let start = meter.edge();
    std::thread::sleep(LOOK);
    let end = meter.edge();
    let window = Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    };
    let sources = meter.read_host(&window).sources;
    let servers = servers::examine(&layered.settings.engines).context("the engines cannot be checked")?;
    let power = power::examine(&layered.settings, &meter.devices().gpus).context("power control cannot be checked")?;
    let examination = Examination {
        power,
        ..Examination::new(sources, meter.devices(), &engines, servers)
    };
    let text = if arguments.json {
        serde_json::to_string_pretty(&examination)?
    } else {
        examination.text()
    };
    writeln!(std::io::stdout(), "{}", text.trim_end()).context("the findings cannot be printed")?;
    Ok(examination.measures)
}
