//! How often each interval holds the true value, over 10,000 draws of cycles; a minute:
//!
//!     cargo bench -p joulemark-analysis --bench coverage

use joulemark_analysis::intervals::{Interval, bca, median_interval, student_t};
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const DRAWS: u32 = 10_000;
const SIZES: [usize; 6] = [3, 5, 10, 20, 30, 100];
/// How far each value of the AR(1) process follows the one before.
const FOLLOWS: f64 = 0.5;
/// Of the logarithm: skewed as latencies are.
const LOG_DEVIATION: f64 = 0.5;

/// What cycles are drawn from, with its mean and its median.
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
}

/// Marsaglia's polar method.
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
