//! The samples of a device as blocks. Times are stored to the microsecond; watts, percents and degrees to a thousandth;
//! other quantities as whole numbers.

use super::block::{Damage, Encoding, Reader, Writer};
use super::{Block, POINTS_PER_BLOCK};
use joulemark_measurement::SeriesPoint;

const MICROS: f64 = 1e6;
const MILLIS: f64 = 1e3;
const UNITS: f64 = 1.0;

/// The scale of a quantity, and functions to read and to set it.
type Quantity = (
    f64,
    fn(&SeriesPoint) -> Option<f64>,
    fn(&mut SeriesPoint) -> &mut Option<f64>,
);

/// The quantities in the order in which they are stored.
const QUANTITIES: [Quantity; 7] = [
    (MILLIS, |point| point.power_w, |point| &mut point.power_w),
    (
        MILLIS,
        |point| point.utilisation_percent,
        |point| &mut point.utilisation_percent,
    ),
    (MILLIS, |point| point.temperature_c, |point| &mut point.temperature_c),
    (UNITS, |point| point.sm_clock_mhz, |point| &mut point.sm_clock_mhz),
    (
        UNITS,
        |point| point.memory_clock_mhz,
        |point| &mut point.memory_clock_mhz,
    ),
    (
        UNITS,
        |point| point.memory_used_bytes,
        |point| &mut point.memory_used_bytes,
    ),
    (MILLIS, |point| point.power_limit_w, |point| &mut point.power_limit_w),
];
/// Separates the throttle reasons of a point; no reason contains it.
const REASON_SEPARATOR: char = ',';

/// Encodes samples, `POINTS_PER_BLOCK` in each block but the last.
pub fn encode(points: &[SeriesPoint]) -> Vec<Block> {
    let block = |points: &[SeriesPoint]| {
        let mut writer = Writer::default();
        let whole = |value: f64, scale: f64| (value * scale).round() as i64;
        writer.numbers(
            Encoding::DeltaOfDeltas,
            points.iter().map(|point| whole(point.at_monotonic_sec, MICROS)),
        );
        for (scale, of, _) in QUANTITIES {
            writer.optional(
                Encoding::Delta,
                points.iter().map(|point| of(point).map(|value| whole(value, scale))),
            );
        }
        let between = REASON_SEPARATOR.to_string();
        writer.texts(points.iter().map(|point| point.throttle_reasons.join(&between)));
        Block {
            points: points.len(),
            columns: writer.finish(),
        }
    };
    points.chunks(POINTS_PER_BLOCK).map(block).collect()
}

/// Decodes the samples of one block.
///
/// # Errors
/// Returns a description of the damage when the block is damaged.
pub fn decode(block: &[u8]) -> Result<Vec<SeriesPoint>, Damage> {
    let mut reader = Reader::new(block)?;
    let moments = reader.numbers(Encoding::DeltaOfDeltas)?.into_iter();
    let mut points = moments
        .map(|at_us| SeriesPoint {
            at_monotonic_sec: at_us as f64 / MICROS,
            ..SeriesPoint::default()
        })
        .collect::<Vec<_>>();
    for (scale, _, place) in QUANTITIES {
        let values = reader.optional(Encoding::Delta, points.len())?;
        for (point, value) in points.iter_mut().zip(values) {
            *place(point) = value.map(|value| value as f64 / scale);
        }
    }
    let reasons = reader.texts(points.len())?;
    for (point, reasons) in points.iter_mut().zip(reasons) {
        let names = reasons.split(REASON_SEPARATOR).filter(|name| !name.is_empty());
        point.throttle_reasons = names.map(str::to_owned).collect();
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn read_back(points: &[SeriesPoint]) -> Vec<SeriesPoint> {
        let blocks = encode(points);
        blocks
            .iter()
            .flat_map(|block| decode(&block.columns).unwrap())
            .collect()
    }

    /// Returns samples like those of a busy GPU at 10 Hz: times jitter, power varies by watts, load and clocks change
    /// at 5 Hz, temperature at 1 Hz. They are random, which is the worst case for compression.
    fn busy_gpu(samples: u32) -> Vec<SeriesPoint> {
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        let (mut utilisation, mut temperature, mut sm_clock) = (0.0, 0.0, 0.0);
        let mut point = |sample: u32| {
            if sample.is_multiple_of(2) {
                utilisation = f64::from(chance.random_range(60..=100u32));
                sm_clock = 1410.0 - 15.0 * f64::from(chance.random_range(0..20u32));
            }
            if sample.is_multiple_of(10) {
                temperature = f64::from(chance.random_range(60..64u32));
            }
            SeriesPoint {
                at_monotonic_sec: 5000.0 + f64::from(sample) * 0.1 + f64::from(chance.random_range(0..200u32)) * 1e-6,
                power_w: Some(250.0 + f64::from(chance.random_range(0..40_000u32)) / 1e3),
                utilisation_percent: Some(utilisation),
                temperature_c: Some(temperature),
                sm_clock_mhz: Some(sm_clock),
                memory_clock_mhz: Some(1593.0),
                memory_used_bytes: Some(40e9),
                power_limit_w: Some(400.0),
                throttle_reasons: vec!["sw_power_cap".to_owned(), "hw_slowdown".to_owned()],
            }
        };
        (0..samples).map(&mut point).collect()
    }

    #[test]
    fn a_busy_gpu_takes_less_than_eight_bytes_a_sample() {
        let bytes = encode(&busy_gpu(10_000))
            .iter()
            .map(|block| block.columns.len())
            .sum::<usize>() as f64
            / 10_000.0;
        println!("{bytes:.2} bytes a sample");
        assert!((4.0..8.0).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_series_of_several_blocks_reads_back_whole() {
        let points = busy_gpu(2 * POINTS_PER_BLOCK as u32 + 1);
        assert_eq!(encode(&points).len(), 3);
        for (before, after) in points.iter().zip(read_back(&points)) {
            assert!((before.at_monotonic_sec - after.at_monotonic_sec).abs() < 1e-6);
            assert!((before.power_w.unwrap() - after.power_w.unwrap()).abs() < 1e-6);
            let rest = SeriesPoint {
                at_monotonic_sec: after.at_monotonic_sec,
                power_w: after.power_w,
                ..before.clone()
            };
            assert_eq!(rest, after);
        }
        assert_eq!(read_back(&[]), []);
    }

    proptest! {
        #[test]
        fn unknown_stays_unknown_and_known_stays_known(known in prop::collection::vec(any::<[bool; 7]>(), 0..60)) {
            let points: Vec<SeriesPoint> = known.iter().enumerate().map(|(index, known)| {
                let value = |of: usize| known[of].then_some(index as f64 / 8.0 + of as f64);
                SeriesPoint {
                    at_monotonic_sec: index as f64 / 8.0,
                    power_w: value(0),
                    utilisation_percent: value(1),
                    temperature_c: value(2),
                    sm_clock_mhz: value(3).map(f64::round),
                    memory_clock_mhz: value(4).map(f64::round),
                    memory_used_bytes: value(5).map(f64::round),
                    power_limit_w: value(6),
                    throttle_reasons: if known[0] { vec!["hw_slowdown".to_owned()] } else { Vec::new() },
                }
            }).collect();
            prop_assert_eq!(read_back(&points), points);
        }
    }
}
