//! Coverage of each interval: how often it contains the true value, over 10,000 draws of cycles. It takes a minute:
//!
//!     cargo bench -p joulemark-analysis --bench coverage

use joulemark_analysis::intervals::{Interval, bca, mean_interval, median_interval, student_t};
use joulemark_analysis::relative_ci;
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const DRAWS: u32 = 10_000;
const SIZES: [usize; 6] = [3, 5, 10, 20, 30, 100];
/// Coefficient of the AR(1) process.
const FOLLOWS: f64 = 0.5;
/// Standard deviation of the logarithm: a skewed distribution, like that of latencies.
const LOG_DEVIATION: f64 = 0.5;

/// Distribution from which cycles are drawn, with its mean and its median.
struct Kind {
    name: &'static str,
    mean: f64,
    median: f64,
    draw: fn(&mut ChaCha8Rng, usize) -> Vec<f64>,
}

fn main() {
    let kinds = [
        Kind {
            name: "normal",
            mean: 0.0,
            median: 0.0,
            draw: |random, count| (0..count).map(|_| normal(random)).collect(),
        },
        Kind {
            name: "log-normal",
            mean: (LOG_DEVIATION * LOG_DEVIATION / 2.0).exp(),
            median: 1.0,
            draw: |random, count| (0..count).map(|_| (LOG_DEVIATION * normal(random)).exp()).collect(),
        },
        Kind {
            name: "AR(1)",
            mean: 0.0,
            median: 0.0,
            draw: ar1,
        },
    ];
    println!("share of {DRAWS} draws whose 95 % interval holds the true value, in %");
    println!("{:<11} {:>4}  {:>9}  {:>9}  {:>9}", "cycles", "n", "t", "BCa", "median");
    let mut random = ChaCha8Rng::seed_from_u64(95);
    for kind in kinds {
        for size in SIZES {
            let draws: Vec<Vec<f64>> = (0..DRAWS).map(|_| (kind.draw)(&mut random, size)).collect();
            let share = |interval: fn(&[f64]) -> Option<Interval>, truth: f64| {
                let holds =
                    |values: &&Vec<f64>| interval(values).is_some_and(|(low, high)| low <= truth && truth <= high);
                100.0 * draws.iter().filter(holds).count() as f64 / f64::from(DRAWS)
            };
            let shown = |is_used: bool, share: f64| match is_used {
                true => format!("{share:.1}"),
                false => format!("({share:.1})"),
            };
            println!(
                "{:<11} {size:>4}  {:>9}  {:>9}  {:>9}",
                kind.name,
                shown(size < 20, share(student_t, kind.mean)),
                shown(size >= 20, share(bca, kind.mean)),
                if size < 6 {
                    "-".to_owned()
                } else {
                    shown(true, share(median_interval, kind.median))
                },
            );
        }
    }
    println!("in brackets: not what a result of so many cycles has");
    under_a_stop_rule(&mut random);
}

/// Parameters of the stop rule: half of the interval as a share of the mean, minimum and maximum number of cycles.
const SURE_ENOUGH: f64 = 0.02;
const MIN_CYCLES: usize = 5;
const MAX_CYCLES: usize = 100;

/// Prints how often the interval contains the true value when a rule that looks after each normal cycle stops.
fn under_a_stop_rule(random: &mut ChaCha8Rng) {
    println!("\nstop rule: {SURE_ENOUGH} of the mean, {MIN_CYCLES} to {MAX_CYCLES} normal cycles");
    for deviation in [0.01, 0.02, 0.03, 0.05] {
        let (mut held, mut cycles) = (0, 0);
        for _ in 0..DRAWS {
            let mut values = Vec::new();
            let (low, high) = loop {
                values.push(1.0 + deviation * normal(random));
                if values.len() < MIN_CYCLES {
                    continue;
                }
                let interval = mean_interval(&values);
                let is_enough = relative_ci(&values).is_some_and(|reached| reached <= SURE_ENOUGH);
                if is_enough || values.len() == MAX_CYCLES {
                    break interval.expect("more than one value");
                }
            };
            held += u32::from(low <= 1.0 && 1.0 <= high);
            cycles += values.len();
        }
        println!(
            "coefficient of variation {deviation}: {:.1} % hold the mean, after {:.1} cycles on average",
            100.0 * f64::from(held) / f64::from(DRAWS),
            cycles as f64 / f64::from(DRAWS)
        );
    }
}

/// Draws from a normal distribution by Marsaglia's polar method.
fn normal(random: &mut impl Rng) -> f64 {
    loop {
        let (x, y) = (random.random_range(-1.0..1.0_f64), random.random_range(-1.0..1.0_f64));
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * square.ln() / square).sqrt();
        }
    }
}

fn ar1(random: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    let noise = (1.0 - FOLLOWS * FOLLOWS).sqrt();
    let mut value = normal(random);
    (0..count)
        .map(|_| {
            value = FOLLOWS * value + noise * normal(random);
            value
        })
        .collect()
}
