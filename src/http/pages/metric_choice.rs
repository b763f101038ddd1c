use joulemark_analysis::comparison::comparable_metrics;
use joulemark_analysis::metrics::Metric;

/// A metric to be ticked in a form.
pub struct MetricChoice {
    pub name: &'static str,
    pub unit: &'static str,
    pub is_chosen: bool,
}

/// The metrics that a comparison takes.
pub struct MetricChoices {
    pub items: Vec<MetricChoice>,
    pub has_chosen: bool,
}

/// Returns the metrics, those that are chosen already marked.
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
