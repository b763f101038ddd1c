//! Lengths of synthetic prompts and of their answers, drawn from a seed. Each is drawn independently of the others, so
//! that no list has to be stored.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::field::Fields;
use super::other_words;

/// Distance of the default bounds from the mean, in standard deviations.
const DEFAULT_BOUND_DEVIATIONS: f64 = 3.0;
/// Width of the bounds, in standard deviations, from which on fewer draws of the normal distribution are rejected than
/// of the uniform one: the square root of 2 pi.
const WIDE_DEVIATIONS: f64 = 2.5;

/// A number of tokens from a normal distribution that is truncated at both ends and rounded. Mean and standard
/// deviation are those before truncation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenLength {
    /// Mean of the distribution, between `min` and `max`.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub mean: f64,
    /// Standard deviation of the distribution; 0 gives the rounded mean every time.
    #[schema(minimum = 0, maximum = 10_000_000)]
    pub stddev: f64,
    /// Minimum number of tokens. Default: three standard deviations below the mean, and at least 1.
    #[schema(minimum = 1, maximum = 10_000_000, required = false)]
    pub min: u32,
    /// Maximum number of tokens. Default: three standard deviations above the mean.
    #[schema(minimum = 1, maximum = 10_000_000, required = false)]
    pub max: u32,
}

/// The use of a drawn length; each has its own random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Drawn {
    Input = 1,
    Output = 2,
}

impl TokenLength {
    const NAMES: [&'static str; 4] = ["mean", "stddev", "min", "max"];

    /// Reads the object of a submission and notes all problems.
    pub(crate) fn read(fields: &mut Fields<'_>, name: &str, most: u32) -> Option<Self> {
        let object = fields.object(name, "an object with mean, stddev, min and max")?;
        let base = fields.pointer(name);
        other_words::note_unknown(object, &base, &Self::NAMES, fields.problems());
        let mut inner = Fields::of_any_keys(object, base, fields.problems());
        for key in ["mean", "stddev"] {
            if inner.value(key).is_none() {
                inner.problem(key, "is required: a number of tokens");
            }
        }
        let accepted = format!("a number from 1 to {most}");
        let mean = inner.number("mean", &accepted, |mean| (1.0..=f64::from(most)).contains(&mean));
        let accepted = format!("a number from 0 to {most}");
        let stddev = inner.number("stddev", &accepted, |deviation| {
            (0.0..=f64::from(most)).contains(&deviation)
        });
        let (mean, stddev) = (mean?, stddev?);
        let far = DEFAULT_BOUND_DEVIATIONS * stddev;
        let is_bad = |inner: &Fields<'_>, key| inner.value(key).is_some();
        let min = inner.count("min", 1, most);
        let min = min.or_else(|| (!is_bad(&inner, "min")).then(|| (mean - far).floor().max(1.0) as u32));
        let max = inner.count("max", 1, most);
        let max = max.or_else(|| (!is_bad(&inner, "max")).then(|| (mean + far).ceil().min(f64::from(most)) as u32));
        let (min, max) = (min?, max?);
        if !(f64::from(min)..=f64::from(max)).contains(&mean) {
            inner.problem(
                "mean",
                format!("is {mean}; accepted is a number from min to max, which are {min} and {max}"),
            );
            return None;
        }
        Some(Self { mean, stddev, min, max })
    }

    /// Returns the mean, rounded to a whole number of tokens.
    pub fn rounded_mean(&self) -> u32 {
        self.mean.round() as u32
    }

    /// Returns the minimum and the maximum of what is drawn.
    pub fn bounds(&self) -> (u32, u32) {
        match self.stddev > 0.0 {
            true => (self.min, self.max),
            false => (self.rounded_mean(), self.rounded_mean()),
        }
    }

    /// Returns the length of the prompt or answer at `index`: the same on every machine and in every later version.
    pub(crate) fn draw(&self, seed: u64, drawn: Drawn, index: u32) -> u32 {
        let (min, max) = self.bounds();
        if min == max {
            return min;
        }
        let mut random = random_of(seed, drawn, index);
        let (low, high) = (f64::from(min) - 0.5, f64::from(max) + 0.5);
        let is_narrow = high - low < WIDE_DEVIATIONS * self.stddev;
        // As the mean lies within the bounds, at least about half of the draws are accepted with either method (Robert,
        // Simulation of truncated normal variables, 1995).
        loop {
            let length = if is_narrow {
                let even = low + uniform(&mut random) * (high - low);
                let deviations = (even - self.mean) / self.stddev;
                let is_kept = uniform(&mut random) <= libm::exp(-deviations * deviations / 2.0);
                is_kept.then_some(even)
            } else {
                Some(self.mean + self.stddev * normal(&mut random))
            };
            if let Some(length) = length.filter(|length| (low..high).contains(length)) {
                return (length.round() as u32).clamp(min, max);
            }
        }
    }
}

/// Returns the random number generator of one length. The key is filled in here because another version of the crate
/// may expand a seed differently (`seed_from_u64`). Keys for the tokens of prompts end in zeros.
fn random_of(seed: u64, drawn: Drawn, index: u32) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = drawn as u8;
    key[9..13].copy_from_slice(&index.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Returns a uniform number from 0 to below 1.
fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a number of the standard normal distribution (Marsaglia's polar method). The logarithm is computed by a
/// library in Rust, which gives the same result on every machine.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    loop {
        let (x, y) = (2.0 * uniform(random) - 1.0, 2.0 * uniform(random) - 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * libm::log(square) / square).sqrt();
        }
    }
}

/// Reads an optional length: returns `Ok(None)` where the field is absent, `Err` where it is bad.
pub(crate) fn optional(fields: &mut Fields<'_>, name: &str, most: u32) -> Result<Option<TokenLength>, ()> {
    match fields.value(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => TokenLength::read(fields, name, most).map(Some).ok_or(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(mean: f64, stddev: f64, min: u32, max: u32) -> TokenLength {
        TokenLength { mean, stddev, min, max }
    }

    fn draws(length: &TokenLength, count: u32) -> Vec<u32> {
        (0..count).map(|index| length.draw(7, Drawn::Input, index)).collect()
    }

    fn mean_and_deviation(drawn: &[u32]) -> (f64, f64) {
        let count = drawn.len() as f64;
        let mean = drawn.iter().map(|one| f64::from(*one)).sum::<f64>() / count;
        let squares = drawn.iter().map(|one| (f64::from(*one) - mean).powi(2)).sum::<f64>();
        (mean, (squares / (count - 1.0)).sqrt())
    }

    #[test]
    fn lengths_have_the_mean_and_the_deviation_that_were_asked_for() {
        let (mean, deviation) = mean_and_deviation(&draws(&length(500.0, 50.0, 1, 1000), 20_000));
        // Five standard errors of the mean are 1.8, of the deviation 1.25.
        assert!((mean - 500.0).abs() < 1.8, "{mean}");
        assert!((deviation - 50.0).abs() < 1.25, "{deviation}");
    }

    #[test]
    fn values_outside_wide_or_narrow_bounds_are_drawn_again() {
        for length in [
            length(120.0, 10.0, 100, 130),
            length(3.0, 50.0, 1, 4),
            length(1.0, 8.0, 1, 40),
        ] {
            let expected = truncated(length.mean, length.stddev, length.min, length.max);
            let drawn = draws(&length, 20_000);
            let (mean, deviation) = mean_and_deviation(&drawn);
            assert!(drawn.iter().all(|one| (length.min..=length.max).contains(one)));
            assert!(
                (mean - expected.0).abs() < 5.0 * expected.1 / 20_000_f64.sqrt(),
                "{length:?} {mean} {expected:?}"
            );
            assert!(
                (deviation / expected.1 - 1.0).abs() < 0.03,
                "{length:?} {deviation} {expected:?}"
            );
        }
    }

    /// Returns the mean and standard deviation of the rounded, truncated distribution, summed in fine steps.
    fn truncated(mean: f64, stddev: f64, min: u32, max: u32) -> (f64, f64) {
        let steps = 200;
        let weight = |length: u32| -> f64 {
            (0..steps)
                .map(|step| f64::from(length) - 0.5 + (f64::from(step) + 0.5) / f64::from(steps))
                .map(|at| (-((at - mean) / stddev).powi(2) / 2.0).exp())
                .sum()
        };
        let of_all = |value: &dyn Fn(u32) -> f64| (min..=max).map(|one| weight(one) * value(one)).sum::<f64>();
        let all = of_all(&|_| 1.0);
        let center = of_all(&|one| f64::from(one)) / all;
        (center, (of_all(&|one| (f64::from(one) - center).powi(2)) / all).sqrt())
    }

    #[test]
    fn no_deviation_gives_the_mean_and_input_differs_from_output() {
        assert_eq!(draws(&length(4.5, 0.0, 1, 9), 3), [5, 5, 5]);
        let varied = length(1000.0, 100.0, 1, 2000);
        assert_ne!(varied.draw(7, Drawn::Input, 0), varied.draw(7, Drawn::Output, 0));
    }

    // Fixed figures: a stored seed must mean the same lengths years later.
    #[test]
    fn the_lengths_of_a_seed_never_change() {
        assert_eq!(draws(&length(512.0, 128.0, 1, 2048), 6), [501, 455, 590, 499, 641, 464]);
        assert_eq!(draws(&length(3.0, 50.0, 1, 4), 6), [4, 1, 3, 2, 4, 1]);
    }
}
