//! The table of metrics: name, unit, description, formula and limits of each figure of a result, how it is read, and
//! why it may be null. Exports, API descriptions, the client's tables and the warnings about nulls are made from it.
//! Leaves the layout of each of them to others.

mod compute;
mod efficiency;
mod energy;
mod explanation;
mod figures;
mod host_energy;
mod inference;
mod latencies;
mod memory;
mod metric;
mod reasons;
#[cfg(test)]
mod reference;
mod roofline;

use std::sync::LazyLock;

pub use explanation::{Explanation, explain, explanations};
pub use figures::Figures;
pub use metric::{Beside, Better, EnergyOf, Group, Known, Metric, Read};

/// Returns all metrics of a result, in the order of its objects and of their keys.
pub fn all() -> &'static [Metric] {
    static ALL: LazyLock<Vec<Metric>> = LazyLock::new(|| {
        let groups = [
            inference::METRICS,
            latencies::METRICS,
            memory::METRICS,
            energy::METRICS,
            compute::METRICS,
            roofline::METRICS,
            efficiency::METRICS,
        ];
        groups.concat()
    });
    &ALL
}

/// Returns the metric with this name; `None` where the table has none.
pub fn find<'a>(metrics: &'a [Metric], name: &str) -> Option<&'a Metric> {
    metrics.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests;
