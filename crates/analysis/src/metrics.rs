//! The table of metrics: what each figure of a result is called, its unit, what it says, how it is read and why it may be
//! null. Exports, descriptions, the client's tables and the warnings about nulls are made from it. It does not know how
//! any of them looks.

mod compute;
mod efficiency;
mod energy;
mod explanation;
mod figures;
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

/// Returns the metrics of a result, each group in the order of its keys.
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

/// Returns the metric of this name.
pub fn find<'a>(metrics: &'a [Metric], name: &str) -> Option<&'a Metric> {
    metrics.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests;
