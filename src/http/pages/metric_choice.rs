//! Checkboxes for the metrics of a comparison.

use joulemark_analysis::comparison::comparable_metrics;
use joulemark_analysis::metrics::Metric;

/// A metric with its checkbox.
pub struct MetricChoice {
    pub name: &'static str,
    pub unit: &'static str,
    pub is_chosen: bool,
}

/// Metrics that can be compared.
pub struct MetricChoices {
    pub items: Vec<MetricChoice>,
    pub has_chosen: bool,
}

/// Returns the metrics that can be compared, and marks the chosen ones.
pub fn metric_choices(chosen: &[String]) -> MetricChoices {
    let choice = |metric: &'static Metric| MetricChoice {
        name: metric.name,
        unit: metric.unit,
        is_chosen: chosen.iter().any(|name| name == metric.name),
    };
    MetricChoices {
        items: comparable_metrics().map(choice).collect(),
        has_chosen: !chosen.is_empty(),
    }
}
