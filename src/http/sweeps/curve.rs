//! The curve of a sweep along one numeric axis: where each metric is best, with a confidence interval, and where a
//! higher value brings little.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use joulemark_analysis::curve::{CurvePoint, knee, maximum, minimum};
use joulemark_analysis::metrics::{Better, Metric};
use joulemark_experiment::sweep::SweepRequest;

/// Minimum number of points of a curve.
const MIN_POINTS: usize = 3;

/// The metrics of a sweep as functions of its axis.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SweepCurve {
    /// Name of the axis, whose values are numbers.
    pub axis: String,
    /// The metrics of the table for which lower or higher is better and that are known for at least three points.
    pub metrics: BTreeMap<String, CurveFigure>,
}

/// A metric as a function of the axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct CurveFigure {
    /// Value of the axis at which the mean over repeats is best.
    pub best_at: f64,
    /// Lower end of the 95 % confidence interval of that value: in 2.5 % of 2,000 draws of the points' means the best
    /// value lies below it. The draws follow Student's t, with one relative deviation of repeats for all points. Null
    /// if no point has two repeats.
    pub best_at_low: Option<f64>,
    /// Upper end of the confidence interval.
    pub best_at_high: Option<f64>,
    /// Mean at that value, in the metric's unit.
    pub best: f64,
    /// The knee of the curve (Satopaa et al. 2011): the point that lies highest above the line from the first to the
    /// last point. Beyond it a higher value of the axis brings little. Null if lower is better, and if the curve has no
    /// such bend.
    pub knee_at: Option<f64>,
}

/// The axis of a curve with its values.
pub struct Curve {
    axis: String,
    values: Vec<f64>,
}

impl Curve {
    /// Returns the axis of a sweep; `None` unless it has exactly one axis, whose values are numbers.
    pub fn of(request: &SweepRequest) -> Option<Self> {
        let mut axes = request.axes.iter();
        let (Some((axis, values)), None) = (axes.next(), axes.next()) else {
            return None;
        };
        let values: Option<Vec<f64>> = values.as_array()?.iter().map(Value::as_f64).collect();
        Some(Self {
            axis: axis.clone(),
            values: values?,
        })
    }

    /// Computes the curve of each metric, from the figures of every point's repeats in the order of the points.
    pub fn drawn(self, metrics: &[(&'static Metric, Vec<Vec<f64>>)]) -> SweepCurve {
        let of_metric = |(metric, figures): &(&'static Metric, Vec<Vec<f64>>)| {
            let points = self.values.iter().zip(figures);
            let points: Vec<CurvePoint> = points
                .filter(|(_, figures)| !figures.is_empty())
                .map(|(at, figures)| CurvePoint {
                    at: *at,
                    figures: figures.clone(),
                })
                .collect();
            let is_rising = match metric.better {
                Better::Higher => true,
                Better::Lower => false,
                Better::Neither => return None,
            };
            let best = if is_rising { maximum(&points) } else { minimum(&points) };
            let best = best.filter(|_| points.len() >= MIN_POINTS)?;
            let figure = CurveFigure {
                best_at: best.at,
                best_at_low: best.at_low,
                best_at_high: best.at_high,
                best: best.value,
                knee_at: knee(&points).filter(|_| is_rising),
            };
            Some((metric.name.to_owned(), figure))
        };
        SweepCurve {
            metrics: metrics.iter().filter_map(of_metric).collect(),
            axis: self.axis,
        }
    }
}
