//! The tables in simulated time.

use std::time::Duration;

use super::oracle::oracle;
use joulemark_testkit::simulation::troubled::{Held, Troubled};
use joulemark_testkit::simulation::{
    Chance, Course, Kind, Metered, SHAPES, any_sensor, honesty as honesty_over, median, meter, windows,
};

const LENGTHS_SEC: [f64; 4] = [0.2, 1.0, 5.0, 20.0];
const TROUBLED_LENGTHS_SEC: [f64; 4] = [0.3, 1.0, 3.0, 10.0];
const WINDOWS_A_CELL: u32 = 200;
const WINDOWS_A_SOURCE: u32 = 3000;
const WINDOWS_OF_THE_ORACLE: u32 = 960;
const SEEN_BY_THE_ORACLE: usize = 40;
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// Source × shape × length → error against truth, in percent of the energy.
pub fn errors() {
    println!(
        "error in % of the energy, median / 95th percentile of {WINDOWS_A_CELL} windows; simulated time, sampled every 100 ms,"
    );
    println!("sensors that refresh every 20 to 100 ms (RAPL: 1 ms) at any phase, levels of 40 to 450 W\n");
    print!("{:<24} {:<9}", "source", "shape");
    for length_sec in LENGTHS_SEC {
        print!(" {:>19}", format!("{length_sec} s"));
    }
    println!();
    let mut beyond = 0;
    for kind in Kind::ALL {
        for shape in SHAPES {
            print!("{:<24} {shape:<9}", kind.name());
            for length_sec in LENGTHS_SEC {
                let mut chance = Chance::new(length_sec.to_bits());
                let one = |_| {
                    let sensor = any_sensor(kind, shape, &mut chance);
                    let metered = meter(
                        &sensor,
                        Course::any(length_sec, &mut chance),
                        SAMPLE_INTERVAL,
                        &mut chance,
                    );
                    let is_counter = matches!(kind, Kind::GpuCounter | Kind::RaplCounter);
                    let goal_j = 0.001 * metered.truth_j + sensor.refresh_sec * metered.edge_w;
                    beyond += u32::from(is_counter && length_sec >= 1.0 && metered.error_j() > goal_j);
                    100.0 * metered.error_j() / metered.truth_j
                };
                let mut errors: Vec<f64> = (0..WINDOWS_A_CELL).map(one).collect();
                errors.sort_by(f64::total_cmp);
                print!(
                    " {:>9.4} / {:>7.3}",
                    errors[errors.len() / 2],
                    errors[errors.len() * 95 / 100]
                );
            }
            println!();
        }
    }
    println!("\ncounter windows from 1 s up beyond 0.1 % plus one refresh of edge power: {beyond} (to reach: 0)");
}

/// How often stated intervals hold the truth, and how wide they are.
pub fn honesty() {
    println!(
        "\nstated uncertainty over {WINDOWS_A_SOURCE} windows a source, 0.2 to 20 s, all shapes (to reach: coverage 0.95, ratio 3)"
    );
    println!(
        "{:<24} {:>8} {:>19} {:>15} {:>6} {:>15}",
        "source", "coverage", "median half-width J", "median error J", "ratio", "median width %"
    );
    for kind in Kind::ALL {
        let windows = windows(kind, WINDOWS_A_SOURCE, &mut Chance::new(1));
        println!("{:<24} {}", kind.name(), honesty_of(&windows));
    }
    println!(
        "\nthe limit: an interval that knows the load to the last watt and where the window lies in it, and not when the \
         sensor looked,\nover {WINDOWS_OF_THE_ORACLE} of these windows, each metered {SEEN_BY_THE_ORACLE} times"
    );
    for kind in [Kind::InstantPower, Kind::AveragedPower] {
        let found = oracle(kind, WINDOWS_OF_THE_ORACLE, SEEN_BY_THE_ORACLE, &mut Chance::new(1));
        println!(
            "{:<24} coverage {:.3}, ratio {:.2}",
            kind.name(),
            found.coverage,
            found.median_half_width_j / found.median_error_j
        );
    }
}

/// How often stated intervals hold the truth where sensors or readings misbehave, by kind and length of the window.
pub fn troubled() {
    const WINDOWS: u32 = 600;
    println!(
        "\nsensors and readings that misbehave: coverage of the windows that have an energy / part without one / median \
         half-width ÷ 95th percentile of the error (to reach: 0.95, at most 3), {WINDOWS} windows each"
    );
    print!("{:<44}", "source");
    for length_sec in TROUBLED_LENGTHS_SEC {
        print!(" {:>20}", format!("{length_sec} s"));
    }
    println!();
    for troubled in Troubled::ALL {
        print!("{:<44}", troubled.name());
        for length_sec in TROUBLED_LENGTHS_SEC {
            let windows = troubled.windows(length_sec, WINDOWS, &mut Chance::new(length_sec.to_bits()));
            let held = Held::of(&windows);
            let ratio = held.median_half_width_j / held.percentile_95_error_j;
            print!(" {:>7.3} /{:>5.2} /{ratio:>5.2}", held.coverage, held.null);
        }
        println!();
    }
}

fn honesty_of(windows: &[Metered]) -> String {
    let found = honesty_over(windows);
    let part = |window: &Metered| 100.0 * window.reading.uncertainty_j.unwrap_or(f64::NAN) / window.truth_j;
    format!(
        "{:>8.3} {:>19.4} {:>15.4} {:>6.2} {:>15.3}",
        found.coverage,
        found.median_half_width_j,
        found.median_error_j,
        found.median_half_width_j / found.median_error_j,
        median(windows.iter().map(part)),
    )
}
