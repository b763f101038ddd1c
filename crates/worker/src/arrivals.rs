//! Computes when the requests of a load are due. No I/O: times are drawn from the load's seed by the formulas below,
//! with platform-independent logarithms, so that a seed means the same arrivals in every release. A test compares them
//! with fixed figures.

use std::f64::consts::TAU;

use joulemark_experiment::{Arrivals, Load, OpenLoad, Spec};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// The endless sequence of times between the requests of an open load, in seconds.
pub struct Gaps {
    random: ChaCha8Rng,
    arrivals: Arrivals,
    mean_sec: f64,
    burstiness: f64,
}

/// Number of random streams of a cycle: one for the times of requests, one for their ranks.
const STREAMS: u64 = 2;

impl Gaps {
    /// Creates the sequence of a cycle.
    pub fn new(open: &OpenLoad, cycle: u32) -> Self {
        Self {
            random: stream(open, cycle, 0),
            arrivals: open.arrivals,
            mean_sec: 1.0 / open.rate_per_sec,
            burstiness: open.burstiness.unwrap_or(1.0),
        }
    }
}

impl Iterator for Gaps {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let share = match self.arrivals {
            Arrivals::Constant => 1.0,
            Arrivals::Poisson => exponential(&mut self.random),
            Arrivals::Gamma => gamma(&mut self.random, self.burstiness) / self.burstiness,
        };
        Some(share * self.mean_sec)
    }
}

/// The times at which the requests of a rank are due in a cycle, in seconds from its beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub due_sec: Vec<f64>,
    /// Minimum length of the cycle: requests may arrive until then.
    pub until_sec: f64,
}

/// Returns when the requests of a rank are due in a cycle; `None` for loads without times.
pub fn schedule(spec: &Spec, rank: u32, cycle: u32) -> Option<Schedule> {
    let ranks = spec.num_processes;
    match spec.load.as_ref()? {
        Load::Closed { .. } => None,
        Load::Open { open } => {
            let mut whose = stream(open, cycle, 1);
            let own = |_: &f64| ranks == 1 || whose.random_range(0..ranks) == rank;
            Some(Schedule {
                due_sec: all_due_sec(open, cycle).filter(own).collect(),
                until_sec: open.duration_sec.unwrap_or(0.0),
            })
        }
        Load::Replay { replay } => {
            let own = replay.due_sec.iter().skip(rank as usize).step_by(ranks as usize);
            Some(Schedule {
                due_sec: own.copied().collect(),
                until_sec: 0.0,
            })
        }
    }
}

/// Returns when the requests of all ranks are due in a cycle.
fn all_due_sec(open: &OpenLoad, cycle: u32) -> impl Iterator<Item = f64> + use<> {
    let most_sec = open.duration_sec.unwrap_or(f64::INFINITY);
    let most = open.max_requests() as usize;
    let sums = Gaps::new(open, cycle).scan(0.0, |now, gap| {
        *now += gap;
        Some(*now)
    });
    sums.take_while(move |due| *due <= most_sec).take(most)
}

/// Returns one of a cycle's random streams.
fn stream(open: &OpenLoad, cycle: u32, which: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(open.seed);
    random.set_stream(u64::from(cycle) * STREAMS + which);
    random
}

/// Draws a uniform number from (0, 1].
fn uniform(random: &mut ChaCha8Rng) -> f64 {
    1.0 - random.random::<f64>()
}

/// Draws from the exponential distribution with mean 1, by inversion.
fn exponential(random: &mut ChaCha8Rng) -> f64 {
    -libm::log(uniform(random))
}

/// Draws from the standard normal distribution (Box and Muller, 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (-2.0 * libm::log(uniform(random))).sqrt() * libm::cos(TAU * uniform(random))
}

/// Draws from the gamma distribution with this shape and scale 1 (Marsaglia and Tsang, 2000).
fn gamma(random: &mut ChaCha8Rng, shape: f64) -> f64 {
    if shape < 1.0 {
        return gamma(random, shape + 1.0) * libm::pow(uniform(random), 1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(random);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && libm::log(uniform(random)) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use joulemark_experiment::{ArgumentValues, DecoderRequest, Device, Prompts, Resolved, parse};
    use serde_json::json;
    use statrs::distribution::{ContinuousCDF, Exp, Gamma};

    use super::*;

    const DRAWS: usize = 20_000;

    fn open(arrivals: Arrivals, burstiness: Option<f64>) -> OpenLoad {
        OpenLoad {
            rate_per_sec: 4.0,
            arrivals,
            burstiness,
            seed: 7,
            duration_sec: None,
            requests: Some(DRAWS as u32),
        }
    }

    /// Returns the largest distance of the empirical distribution from `of`, times the square root of the number of
    /// draws.
    fn kolmogorov_smirnov(mut draws: Vec<f64>, of: impl ContinuousCDF<f64, f64>) -> f64 {
        draws.sort_by(f64::total_cmp);
        let count = draws.len() as f64;
        let distance = |(place, draw): (usize, &f64)| {
            let expected = of.cdf(*draw);
            (expected - place as f64 / count).max((place + 1) as f64 / count - expected)
        };
        draws.iter().enumerate().map(distance).fold(0.0, f64::max) * count.sqrt()
    }

    /// One in 1,000 samples of the right distribution exceeds this.
    const CRITICAL: f64 = 1.949;

    #[test]
    fn gaps_have_the_requested_distribution() {
        let gaps = |arrivals, burstiness| {
            Gaps::new(&open(arrivals, burstiness), 3)
                .take(DRAWS)
                .collect::<Vec<_>>()
        };
        let poisson = gaps(Arrivals::Poisson, None);
        let of_poisson = kolmogorov_smirnov(poisson.clone(), Exp::new(4.0).unwrap());
        assert!(of_poisson < CRITICAL, "{of_poisson}");
        for shape in [0.25, 0.5, 1.0, 3.0, 50.0] {
            // The rate of the distribution, so that the mean gap is a quarter of a second.
            let of = Gamma::new(shape, 4.0 * shape).unwrap();
            let distance = kolmogorov_smirnov(gaps(Arrivals::Gamma, Some(shape)), of);
            assert!(distance < CRITICAL, "{shape}: {distance}");
        }
        // A wrong distribution is detected.
        let wrong = kolmogorov_smirnov(poisson, Gamma::new(1.1, 4.4).unwrap());
        assert!(wrong > CRITICAL, "{wrong}");
        assert!(gaps(Arrivals::Constant, None).iter().all(|gap| *gap == 0.25));
    }

    #[test]
    fn consecutive_gaps_are_not_correlated() {
        let gaps: Vec<f64> = Gaps::new(&open(Arrivals::Poisson, None), 0).take(DRAWS).collect();
        let mean = gaps.iter().sum::<f64>() / DRAWS as f64;
        let variance: f64 = gaps.iter().map(|gap| (gap - mean).powi(2)).sum();
        let lag1: f64 = gaps.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
        // Five standard deviations of a correlation of independent draws.
        assert!(
            (lag1 / variance).abs() < 5.0 / (DRAWS as f64).sqrt(),
            "{}",
            lag1 / variance
        );
    }

    /// Compares the mean wait for a server that handles one request at a time, each in the same time (M/D/1), with the
    /// formula of Pollaczek and Khinchine: utilisation / (2 · (1 - utilisation)) service times.
    #[test]
    fn arrivals_wait_for_an_engine_as_queueing_theory_says() {
        let load = OpenLoad {
            requests: Some(400_000),
            ..open(Arrivals::Poisson, None)
        };
        // The tolerances are four standard errors of the mean, determined over 20 seeds: consecutive waiting times are
        // correlated.
        for (utilisation, tolerance) in [(0.5, 0.02), (0.9, 0.08)] {
            let service_sec = utilisation / load.rate_per_sec;
            let (mut free, mut waited) = (0.0_f64, 0.0);
            for due in all_due_sec(&load, 0) {
                let begun = free.max(due);
                free = begun + service_sec;
                waited += (begun - due) / service_sec / 400_000.0;
            }
            let expected = utilisation / (2.0 * (1.0 - utilisation));
            assert!(
                (waited / expected - 1.0).abs() < tolerance,
                "{utilisation}: {waited} of {expected}"
            );
        }
    }

    // Fixed figures: a stored seed must mean the same arrivals and ranks years later, whatever rand and the standard
    // library change.
    #[test]
    fn the_arrivals_of_a_seed_and_their_ranks_never_change() {
        let first = |arrivals, burstiness| Gaps::new(&open(arrivals, burstiness), 1).take(4).collect::<Vec<_>>();
        assert_eq!(first(Arrivals::Poisson, None), POISSON);
        assert_eq!(first(Arrivals::Gamma, Some(0.5)), BURSTS);
        assert_eq!(first(Arrivals::Gamma, Some(4.0)), EVEN);
        let load = json!({"open": {"rate_per_sec": 4, "arrivals": "constant", "requests": 24, "seed": 7}});
        let ranks = of_ranks(&spec(3, load), 1);
        let of = |number: u32| {
            let due = f64::from(number + 1) * 0.25;
            ranks.iter().position(|own| own.contains(&due))
        };
        let whose: Vec<usize> = (0..24).filter_map(of).collect();
        assert_eq!(whose, RANKS);
    }

    const POISSON: [f64; 4] = [
        0.089_214_590_512_812_7,
        0.118_520_953_017_101_2,
        0.071_635_341_009_764_54,
        0.094_857_573_315_218_95,
    ];
    const BURSTS: [f64; 4] = [
        0.146_613_214_082_162_7,
        0.003_213_308_598_185_236_4,
        0.072_053_199_187_903_2,
        0.412_606_256_291_549_7,
    ];
    const EVEN: [f64; 4] = [
        0.163_941_746_959_817_8,
        0.192_251_612_266_087_9,
        0.285_560_326_459_667_4,
        0.165_363_978_745_69,
    ];
    const RANKS: [usize; 24] = [1, 0, 1, 0, 2, 2, 0, 1, 0, 1, 0, 1, 1, 2, 1, 0, 1, 0, 2, 1, 2, 2, 0, 1];

    fn spec(num_processes: u32, load: serde_json::Value) -> Spec {
        let resolved = Resolved {
            config_name: String::new(),
            model_name: "m".to_owned(),
            prompts: Prompts::Texts(vec!["a".to_owned()]),
            decoder: DecoderRequest::default().filled(),
            num_processes,
            gpus: Vec::new(),
            gpu_count: 0,
            device: Device::Cpu,
            engine: "mistral".to_owned(),
            engine_arguments: ArgumentValues::new(),
        };
        let asked = json!({"model_name": "m", "load": load});
        parse(&asked).expect("an experiment").filled(resolved)
    }

    fn of_ranks(spec: &Spec, cycle: u32) -> Vec<Vec<f64>> {
        let of_rank = |rank| schedule(spec, rank, cycle).expect("it has times").due_sec;
        (0..spec.num_processes).map(of_rank).collect()
    }

    #[test]
    fn each_request_belongs_to_one_rank_and_every_cycle_draws_its_own() {
        let load = json!({"open": {"rate_per_sec": 5, "requests": 300, "seed": 3}});
        let ranks = of_ranks(&spec(3, load.clone()), 0);
        let mut all = ranks.concat();
        all.sort_by(f64::total_cmp);
        assert_eq!(all, of_ranks(&spec(1, load.clone()), 0)[0]);
        // Of a binomial share of a third, five standard deviations are 41 of 300.
        assert!(ranks.iter().all(|own| (59..=141).contains(&own.len())));
        assert_ne!(of_ranks(&spec(3, load), 1), ranks);
    }

    #[test]
    fn a_duration_or_a_number_limits_the_requests() {
        let constant = json!({"open": {"rate_per_sec": 4, "arrivals": "constant", "duration_sec": 1.1}});
        let of_constant = schedule(&spec(1, constant), 0, 0).expect("it has times");
        assert_eq!(
            (of_constant.due_sec, of_constant.until_sec),
            (vec![0.25, 0.5, 0.75, 1.0], 1.1)
        );
        let closed = spec(2, json!({"closed": {"concurrency": 5}}));
        assert_eq!(
            (
                schedule(&closed, 0, 0),
                closed.concurrency_of_rank(0),
                closed.concurrency_of_rank(1)
            ),
            (None, 3, 2)
        );
        let mut replay = spec(2, json!({"replay": {"file": "a.jsonl"}}));
        if let Some(Load::Replay { replay }) = &mut replay.load {
            replay.due_sec = vec![0.0, 1.0, 2.0];
        }
        assert_eq!(of_ranks(&replay, 4), [vec![0.0, 2.0], vec![1.0]]);
    }
}
