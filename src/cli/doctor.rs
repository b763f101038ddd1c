//! `joulemark doctor`: for every energy source whether it works, why not, and the exact fix.

mod examination;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use self::examination::Examination;
use super::energy::EnergyArguments;
use crate::energy::{self, HostMeter};
use crate::measurement::Window;

/// Ten refreshes of the slowest counter.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 when at least one source measured energy just now, 1 when there are only estimates or \
                        nothing."
)]
pub struct DoctorArguments {
    #[command(flatten)]
    energy: EnergyArguments,
    /// Print JSON.
    #[arg(long)]
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
    let meter = HostMeter::start(energy::open(&arguments.energy.load()?)).context("the energy meter does not start")?;
    let start = meter.edge();
    std::thread::sleep(LOOK);
    let end = meter.edge();
    let window = Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    };
    let examination = Examination::new(meter.read_host(&window).sources, meter.devices());
    let text = if arguments.json {
        serde_json::to_string_pretty(&examination)?
    } else {
        examination.text()
    };
    writeln!(std::io::stdout(), "{}", text.trim_end()).context("the findings cannot be printed")?;
    Ok(examination.measures)
}
