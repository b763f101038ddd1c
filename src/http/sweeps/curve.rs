//! A sweep along one numeric axis as a curve: where each metric is best, how sure that is, and where more brings little.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use joulemark_analysis::curve::{CurvePoint, knee, maximum, minimum};
use joulemark_analysis::metrics::{Better, Metric};
use joulemark_experiment::sweep::SweepRequest;

/// With fewer points there is no curve.
const FEWEST_POINTS: usize = 3;

/// How metrics go along the sweep's axis.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SweepCurve {
    /// The axis, whose values are numbers.
    pub axis: String,
    /// Each metric of the table that has a better direction and is known of three points or more.
    pub metrics: BTreeMap<String, CurveFigure>,
}

/// How a metric goes along the axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct CurveFigure {
    /// The value of the axis at which the mean over repeats is best.
    pub best_at: f64,
    /// Lower end of the 95 % interval of that value: below it the best lies in 2.5 % of 2,000 draws of the points' means, by
    /// Student's t with the relative deviation of repeats that all points share. Null where no point has two repeats.
    pub best_at_low: Option<f64>,
    /// Upper end of the interval.
    pub best_at_high: Option<f64>,
    /// The mean there, in the metric's unit.
    pub best: f64,
    /// From which value on more of the axis brings little: the point that lies highest above the line from the first to the
    /// last (Satopaa et al. 2011). Null for a metric of which less is better, and where the curve does not bend so.
    pub knee_at: Option<f64>,
}

/// Figures of the repeats of each point of the axis, by metric.
pub struct Curve {
    axis: String,
    values: Vec<f64>,
}

impl Curve {
    /// Returns the axis of a sweep; `None` where it has another number of axes than one, or one whose values are no numbers.
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

    /// Draws up the curve of the metrics, each with the figures of every point's repeats, in the order of the points.
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
            let best = best.filter(|_| points.len() >= FEWEST_POINTS)?;
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
