use joulemark_analysis::comparison::comparable_metrics;

/// A metric to be ticked in a form.
pub struct MetricChoice {
    pub name: &'static str,
    pub unit: &'static str,
    pub is_chosen: bool,
}

/// Returns the metrics that a comparison takes, those that are chosen already marked.
pub fn metric_choices(chosen: &[String]) -> Vec<MetricChoice> {
    let choice = |metric: &'static joulemark_analysis::metrics::Metric| MetricChoice {
        name: metric.name,
        unit: metric.unit,
        is_chosen: chosen.iter().any(|name| name == metric.name),
    };
    comparable_metrics().map(choice).collect()
}
