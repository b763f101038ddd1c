//! Curve of a metric along a numeric axis: its extremum with an interval, and its knee. Pure functions.

use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::statistics::{mean, standard_deviation};

/// Number of resamples, the same as for intervals of means.
const DRAWS: u32 = 2000;
/// Number of equally likely values that stand for the distribution. It is a power of two, so that it divides the range
/// of random numbers.
const QUANTILES: u32 = 1024;
/// Share of the distribution outside a 95 % interval on each side.
const TAIL: f64 = 0.025;
/// Smallest height above the chord at which a curve counts as bent.
const MIN_BEND: f64 = 0.1;

/// A point of the curve: a value of the axis, and the figure of each repeat there.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePoint {
    pub at: f64,
    pub figures: Vec<f64>,
}

/// Minimum or maximum of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extremum {
    /// Value of the axis at the extremum.
    pub at: f64,
    /// Lower end of the 95 % interval of that value; `None` where no point has two repeats.
    pub at_low: Option<f64>,
    /// Upper end of that interval; `None` likewise.
    pub at_high: Option<f64>,
    /// Mean of the metric at the extremum.
    pub value: f64,
}

/// Finds the minimum of the mean of a metric along the axis, with a 95 % interval of its position.
///
/// For the interval, each point's mean is resampled 2,000 times by Student's t, with the standard deviation that all
/// points share (the coefficient of variation within points, pooled). The interval holds the middle 95 % of the
/// positions of the minimum. `None` without a point.
pub fn minimum(points: &[CurvePoint]) -> Option<Extremum> {
    let points: Vec<&CurvePoint> = points.iter().filter(|point| !point.figures.is_empty()).collect();
    let means: Vec<f64> = points.iter().filter_map(|point| mean(&point.figures)).collect();
    let least = |values: &[f64]| (0..values.len()).min_by(|one, other| values[*one].total_cmp(&values[*other]));
    let best = least(&means)?;
    let interval = pooled(&points).map(|(variation, freedom)| {
        let errors = means.iter().zip(&points);
        let errors: Vec<f64> = errors
            .map(|(mean, point)| variation * mean.abs() / (point.figures.len() as f64).sqrt())
            .collect();
        let mut drawn = draws(&means, &errors, freedom, |values| {
            least(values).map(|place| points[place].at)
        });
        drawn.sort_by(f64::total_cmp);
        let place = |share: f64| drawn[((share * drawn.len() as f64) as usize).min(drawn.len() - 1)];
        (place(TAIL), place(1.0 - TAIL))
    });
    Some(Extremum {
        at: points[best].at,
        at_low: interval.map(|(low, _)| low),
        at_high: interval.map(|(_, high)| high),
        value: means[best],
    })
}

/// Finds the maximum of the mean of a metric along the axis, as [`minimum`] finds the minimum.
pub fn maximum(points: &[CurvePoint]) -> Option<Extremum> {
    let turned = |point: &CurvePoint| CurvePoint {
        at: point.at,
        figures: point.figures.iter().map(|figure| -figure).collect(),
    };
    let found = minimum(&points.iter().map(turned).collect::<Vec<_>>())?;
    Some(Extremum {
        value: -found.value,
        ..found
    })
}

/// Finds the knee of a curve, beyond which the metric grows little: the point that lies highest above the chord from
/// the first to the last point (Satopaa et al. 2011). `None` below three points, and where the curve is straight or
/// bends the other way.
pub fn knee(points: &[CurvePoint]) -> Option<f64> {
    let mut known: Vec<(f64, f64)> = points
        .iter()
        .filter_map(|point| Some((point.at, mean(&point.figures)?)))
        .collect();
    known.sort_by(|one, other| one.0.total_cmp(&other.0));
    let ((first_x, first_y), (last_x, last_y)) = (*known.first()?, *known.last()?);
    let (width, height) = (last_x - first_x, last_y - first_y);
    if known.len() < 3 || width <= 0.0 || height <= 0.0 {
        return None;
    }
    let above = |(x, y): &(f64, f64)| (y - first_y) / height - (x - first_x) / width;
    let highest = known.iter().max_by(|one, other| above(one).total_cmp(&above(other)))?;
    (above(highest) >= MIN_BEND).then_some(highest.0)
}

/// Returns the pooled coefficient of variation within points and its degrees of freedom; `None` where no point has two
/// figures.
fn pooled(points: &[&CurvePoint]) -> Option<(f64, f64)> {
    let (mut sum, mut freedom) = (0.0, 0.0);
    for point in points {
        let (Some(mean), Some(deviation)) = (mean(&point.figures), standard_deviation(&point.figures)) else {
            continue;
        };
        let own = point.figures.len() as f64 - 1.0;
        sum += own * (deviation / mean).powi(2);
        freedom += own;
    }
    (freedom > 0.0 && sum.is_finite()).then(|| ((sum / freedom).sqrt(), freedom))
}

/// Returns the result of `found` for each of 2,000 resamples of the means.
fn draws(means: &[f64], errors: &[f64], freedom: f64, found: impl Fn(&[f64]) -> Option<f64>) -> Vec<f64> {
    let Ok(students_t) = StudentsT::new(0.0, 1.0, freedom) else {
        return Vec::new();
    };
    let quantile = |place: u32| students_t.inverse_cdf((f64::from(place) + 0.5) / f64::from(QUANTILES));
    let quantiles: Vec<f64> = (0..QUANTILES).map(quantile).collect();
    let mut random = ChaCha12Rng::seed_from_u64(0);
    let mut deviate = move || quantiles[(random.next_u32() % QUANTILES) as usize];
    let draw = |_| {
        let values: Vec<f64> = means
            .iter()
            .zip(errors)
            .map(|(mean, error)| mean + error * deviate())
            .collect();
        found(&values)
    };
    (0..DRAWS).filter_map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::board::{joules, limits_w, noise};

    fn measured(seed: u64, deviation: f64, repeats: usize) -> Vec<CurvePoint> {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut figures = |at| {
            (0..repeats)
                .map(|_| joules(at) * (1.0 + deviation * noise(&mut random)))
                .collect()
        };
        limits_w()
            .map(|at| CurvePoint {
                at,
                figures: figures(at),
            })
            .collect()
    }

    #[test]
    fn the_least_of_a_curve_lies_within_its_interval() {
        let truth = limits_w()
            .min_by(|one, other| joules(*one).total_cmp(&joules(*other)))
            .expect("caps");
        for (deviation, repeats) in [(0.01, 3), (0.03, 3), (0.01, 5)] {
            let holds = |seed: &u64| {
                let found = minimum(&measured(*seed, deviation, repeats)).expect("points");
                let (low, high) = (found.at_low.expect("repeats"), found.at_high.expect("repeats"));
                assert!(low <= found.at && found.at <= high, "{found:?}");
                low <= truth && truth <= high
            };
            let held = (1000..1100).filter(holds).count();
            assert!(held >= 95, "of 100 at {deviation} and {repeats}: {held}");
        }
    }

    #[test]
    fn without_repeats_there_is_no_interval() {
        let found = minimum(&measured(1, 0.01, 1)).expect("points");
        assert_eq!((found.at_low, found.at_high), (None, None));
        assert_eq!(minimum(&[]), None);
        let lost = maximum(&measured(1, 0.01, 3)).expect("points");
        assert_eq!(lost.at, 386.0, "the highest cap costs most: {lost:?}");
    }

    #[test]
    fn a_knee_is_where_a_curve_bends_and_a_line_has_none() {
        let curve = |of: fn(f64) -> f64| -> Vec<CurvePoint> {
            let point = |at: f64| CurvePoint {
                at,
                figures: vec![of(at)],
            };
            limits_w().map(point).collect()
        };
        let throughput = |limit_w: f64| ((limit_w - 80.0) / 320.0_f64).cbrt().min(0.75);
        let found = knee(&curve(throughput)).expect("it bends");
        assert!(
            (190.0..=230.0).contains(&found),
            "memory holds it back from 215 W on: {found}"
        );
        assert_eq!(knee(&curve(|limit_w| 2.0 * limit_w)), None);
        assert_eq!(
            knee(&curve(|limit_w| limit_w * limit_w)),
            None,
            "it bends the other way"
        );
        assert_eq!(knee(&curve(|limit_w| -limit_w)), None, "it falls");
        assert_eq!(knee(&curve(throughput)[..2]), None);
    }
}
