//! Statistics of each metric over cycles, and of latencies over requests. Owns which interval a figure gets, and which
//! part of its uncertainty all cycles share.

use std::collections::BTreeMap;

use crate::intervals::{
    Interval, MIN_FOR_BOOTSTRAP, effective_n, lag1_autocorrelation, mean_interval, median_interval, needed_for_bound,
    needed_for_interval, outliers, percentile_interval, ratio_bca, upper_bound,
};
use crate::metrics::{Figures, Metric, Read, all, find};
use crate::statistics::{mean, median, percentile, standard_deviation};
use crate::sums::ratio;
use joulemark_experiment::report::{CiMethod, CycleReport, MetricStatistics, RequestPercentile};
use joulemark_measurement::{EnergyMetrics, RankCycle, RequestMeasurement};

/// Returns the statistics of each metric over the cycles, by its name.
pub fn statistics(cycles: &[CycleReport]) -> BTreeMap<String, MetricStatistics> {
    all()
        .iter()
        .filter(|metric| !metric.name.ends_with("_uncertainty_j"))
        .filter_map(|metric| Some((metric.name.to_owned(), of_metric(metric, cycles)?)))
        .collect()
}

/// Returns the statistics of a metric over the cycles; `None` where a cycle's figure is unknown or is not a number.
pub(crate) fn of_metric(metric: &Metric, cycles: &[CycleReport]) -> Option<MetricStatistics> {
    let values: Option<Vec<f64>> = cycles.iter().map(|cycle| number(metric, cycle.into())).collect();
    let values = values?;
    let center = mean(&values)?;
    let deviation = standard_deviation(&values);
    let interval = mean_interval(&values);
    let ci_method = match values.len() {
        MIN_FOR_BOOTSTRAP.. => CiMethod::BcaBootstrap,
        _ => CiMethod::StudentT,
    };
    let of_median = median_interval(&values);
    let instrument = instrument_uncertainty(metric, cycles, center);
    let combined = |end: f64| instrument.map(|of_meter| (end - center).hypot(of_meter));
    let ratio = ratio_of_sums(metric, cycles);
    Some(MetricStatistics {
        n: values.len() as u32,
        mean: center,
        standard_deviation: deviation,
        cv: deviation
            .filter(|_| center != 0.0)
            .map(|deviation| deviation / center.abs()),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        median: median(&values)?,
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ci_low: interval.map(|(low, _)| low),
        ci_high: interval.map(|(_, high)| high),
        ci_method: interval.map(|_| ci_method),
        median_ci_low: of_median.map(|(low, _)| low),
        median_ci_high: of_median.map(|(_, high)| high),
        lag1_autocorrelation: lag1_autocorrelation(&values),
        effective_n: effective_n(&values),
        outliers: outliers(&values).into_iter().map(|place| cycles[place].cycle).collect(),
        instrument_uncertainty: instrument,
        combined_low: interval.and_then(|(low, _)| Some(center - combined(low)?)),
        combined_high: interval.and_then(|(_, high)| Some(center + combined(high)?)),
        ratio_of_sums: ratio.map(|(ratio, _)| ratio),
        ratio_ci_low: ratio.and_then(|(_, interval)| Some(interval?.0)),
        ratio_ci_high: ratio.and_then(|(_, interval)| Some(interval?.1)),
        ratio_ci_method: ratio.and_then(|(_, interval)| interval.map(|_| CiMethod::BcaBootstrap)),
    })
}

/// Returns the statistics of a metric over experiments that repeat each other, from the mean of each over its own
/// cycles; `None` where a cycle's figure is unknown.
pub(crate) fn over_experiments(metric: &Metric, each: &[Vec<CycleReport>]) -> Option<MetricStatistics> {
    let whole = of_metric(metric, &each.concat())?;
    let means = each.iter().map(|cycles| Some(of_metric(metric, cycles)?.mean));
    let means = means.collect::<Option<Vec<f64>>>()?;
    let (center, interval) = (mean(&means)?, mean_interval(&means));
    let combined = |end: f64| {
        whole
            .instrument_uncertainty
            .map(|of_meter| (end - center).hypot(of_meter))
    };
    Some(MetricStatistics {
        n: means.len() as u32,
        mean: center,
        ci_low: interval.map(|(low, _)| low),
        ci_high: interval.map(|(_, high)| high),
        combined_low: interval.and_then(|(low, _)| Some(center - combined(low)?)),
        combined_high: interval.and_then(|(_, high)| Some(center + combined(high)?)),
        ..whole
    })
}

/// Returns the ratio of sums over cycles for a metric whose formula is a ratio, with its interval where there are
/// enough cycles; `None` for other metrics.
fn ratio_of_sums(metric: &Metric, cycles: &[CycleReport]) -> Option<(f64, Option<Interval>)> {
    let [above, below] = metric.parts()[..] else {
        return None;
    };
    let is_ratio = metric.formula == Some(format!("`{above}` / `{below}`").as_str());
    let of_part = |name: &str| -> Option<Vec<f64>> {
        let part = find(all(), name).filter(|_| is_ratio)?;
        cycles.iter().map(|cycle| number(part, cycle.into())).collect()
    };
    let (above, below) = (of_part(above)?, of_part(below)?);
    let ratio = ratio(Some(above.iter().sum()), Some(below.iter().sum()))?;
    let is_enough = cycles.len() >= MIN_FOR_BOOTSTRAP;
    Some((ratio, is_enough.then(|| ratio_bca(&above, &below)).flatten()))
}

/// Returns half the width of the 95 % interval of the mean, as a share of the mean; `None` below two values, and where
/// the mean is 0.
pub fn relative_ci(values: &[f64]) -> Option<f64> {
    let center = mean(values).filter(|center| *center != 0.0)?;
    let (low, high) = mean_interval(values)?;
    Some((high - low) / 2.0 / center.abs())
}

/// Returns the figure with this name of one cycle; `None` where it is unknown or is not a number.
pub fn figure(name: &str, cycle: &CycleReport) -> Option<f64> {
    number(find(all(), name)?, cycle.into())
}

/// Reads a metric as a number; `None` where it is unknown or is not a number.
pub(crate) fn number(metric: &Metric, figures: Figures<'_>) -> Option<f64> {
    match metric.read {
        Read::Number(read) => read(figures),
        Read::Count(read) => read(figures).map(|count| count as f64),
        Read::Text(_) | Read::Object(_) => None,
    }
}

/// Function that reads a part of the energy and its half-width.
type Part = fn(&EnergyMetrics) -> (Option<f64>, Option<f64>);

/// Returns the energy to which a metric is proportional or inversely proportional, with its half-width; `None` for a
/// metric without such an energy.
fn energy_in(metric: &Metric) -> Option<Part> {
    let total: Part = |energy| (energy.total_energy_j, energy.total_energy_uncertainty_j);
    Some(match metric.name {
        "total_energy_j" => total,
        "gpu_energy_j" | "gpu_power_w" => |energy| (energy.gpu_energy_j, energy.gpu_energy_uncertainty_j),
        "cpu_energy_j" | "cpu_power_w" => |energy| (energy.cpu_energy_j, energy.cpu_energy_uncertainty_j),
        "dram_energy_j" => |energy| (energy.dram_energy_j, energy.dram_energy_uncertainty_j),
        "host_cpu_energy_j" => |energy| (energy.host_cpu_energy_j, energy.host_cpu_energy_uncertainty_j),
        "host_dram_energy_j" => |energy| (energy.host_dram_energy_j, energy.host_dram_energy_uncertainty_j),
        _ if metric.parts().contains(&"total_energy_j") => total,
        _ => return None,
    })
}

/// Returns the half-width of a mean that is due to the meter: the same share of it as of the energy over all cycles,
/// because the same sensors read all cycles.
fn instrument_uncertainty(metric: &Metric, cycles: &[CycleReport], center: f64) -> Option<f64> {
    let part = energy_in(metric)?;
    let sums: Option<Vec<(f64, f64)>> = cycles
        .iter()
        .map(|cycle| {
            let (energy, half_width) = part(&cycle.energy);
            Some((energy?, half_width?))
        })
        .collect();
    let (energy, half_width) = sums?
        .into_iter()
        .fold((0.0, 0.0), |(energy, width), of| (energy + of.0, width + of.1));
    (energy > 0.0).then(|| center.abs() * half_width / energy)
}

/// Function that reads a latency of a request; `None` where it is unknown.
type Latency = fn(&RequestMeasurement) -> Option<f64>;

const LATENCIES: [(&str, Latency); 3] = [
    ("ttft_ms", |request| request.ttft_ms),
    ("tpot_ms", RequestMeasurement::tpot_ms),
    ("e2e_ms", |request| Some(request.e2e_ms())),
];
const PERCENTILES: [(&str, f64); 3] = [("median", 50.0), ("p90", 90.0), ("p99", 99.0)];

/// Returns percentiles of latencies over the requests of all ranks and cycles, by the metric's name.
pub fn request_percentiles(cycles: &[RankCycle]) -> BTreeMap<String, RequestPercentile> {
    let mut percentiles = BTreeMap::new();
    for (latency, read) in LATENCIES {
        let requests = cycles.iter().flat_map(|cycle| &cycle.requests);
        let values: Vec<f64> = requests.filter_map(read).collect();
        for (word, percent) in PERCENTILES {
            let name = format!("{word}_{latency}");
            debug_assert!(find(all(), &name).is_some(), "{name} is a metric");
            percentiles.extend(request_percentile(&values, percent).map(|of| (name, of)));
        }
    }
    percentiles
}

/// Returns a percentile with its interval and its upper bound; `None` without a value.
fn request_percentile(values: &[f64], percent: f64) -> Option<RequestPercentile> {
    let interval = percentile_interval(values, percent);
    let bound = upper_bound(values, percent);
    let requests = values.len();
    let note = interval.high.is_none().then(|| {
        let (of_bound, of_interval) = (needed_for_bound(percent), needed_for_interval(percent));
        match bound {
            Some(_) => format!("ci_high needs {of_interval} requests; there are {requests}"),
            None => {
                format!("upper_bound needs {of_bound} requests and ci_high needs {of_interval}; there are {requests}")
            }
        }
    });
    let value = percentile(values, percent)?;
    Some(RequestPercentile {
        percentile: percent,
        requests: requests as u32,
        value,
        // With two values the percentile lies between them, and the lower end of the interval would be the larger one.
        ci_low: interval.low.map(|low| low.min(value)),
        ci_high: interval.high,
        upper_bound: bound,
        note,
    })
}

#[cfg(test)]
mod tests {
    use joulemark_experiment::StopMetric;

    use super::*;
    use crate::aggregate;
    use crate::fixtures::requests::request;
    use crate::fixtures::{host_cycle, rank_cycle};

    fn over(lengths_sec: &[f64]) -> BTreeMap<String, MetricStatistics> {
        let begin = |cycle: usize| 100.0 * cycle as f64;
        let cycles: Vec<_> = lengths_sec
            .iter()
            .enumerate()
            .map(|(cycle, sec)| rank_cycle(0, cycle as u32, begin(cycle), begin(cycle) + sec))
            .collect();
        let hosts: Vec<_> = (0..cycles.len())
            .map(|cycle| host_cycle(cycle as u32, 80.0, 10.0))
            .collect();
        statistics(&aggregate(&cycles, &hosts).cycles)
    }

    #[test]
    fn a_metric_has_its_mean_over_cycles_and_an_interval_from_two_on() {
        let found = over(&[8.0, 10.0, 12.0]);
        let of = &found["inference_time_sec"];
        assert_eq!((of.n, of.mean, of.min, of.median, of.max), (3, 10.0, 8.0, 10.0, 12.0));
        assert_eq!((of.standard_deviation, of.cv), (Some(2.0), Some(0.2)));
        // t of two degrees of freedom is 4.302653.
        let half = 4.302_653 * 2.0 / 3.0_f64.sqrt();
        assert!((of.ci_low.expect("from two") - (10.0 - half)).abs() < 1e-5);
        assert_eq!(of.ci_method, Some(CiMethod::StudentT));
        assert_eq!(
            (of.median_ci_low, of.lag1_autocorrelation, of.effective_n),
            (None, None, None)
        );
        assert_eq!(
            (of.instrument_uncertainty, of.combined_low),
            (None, None),
            "no energy is in it"
        );
        let single = over(&[8.0]);
        let of = &single["inference_time_sec"];
        assert_eq!(
            (of.n, of.standard_deviation, of.ci_low, of.ci_method),
            (1, None, None, None)
        );
        assert!(
            !found.contains_key("flops_method") && !found.contains_key("gpu_energy_j"),
            "no number, and null"
        );
        assert!(statistics(&[]).is_empty());
    }

    #[test]
    fn what_a_stop_rule_looks_at_is_a_number_of_the_table() {
        let found = over(&[8.0, 10.0, 12.0]);
        for metric in StopMetric::ALL {
            assert!(matches!(
                find(all(), metric.as_str()).map(|metric| metric.read),
                Some(Read::Number(_))
            ));
        }
        let of = &found["inference_time_sec"];
        let half = (of.ci_high.expect("known") - of.ci_low.expect("known")) / 2.0;
        assert!((relative_ci(&[8.0, 10.0, 12.0]).expect("known") - half / 10.0).abs() < 1e-12);
        assert_eq!((relative_ci(&[8.0]), relative_ci(&[-1.0, 1.0])), (None, None));
    }

    #[test]
    fn from_twenty_cycles_on_the_interval_is_the_bootstraps_and_one_far_away_is_named() {
        let mut lengths: Vec<f64> = (0..20).map(|cycle| 10.0 + f64::from(cycle % 4) / 10.0).collect();
        lengths[7] = 14.0;
        let of = &over(&lengths)["inference_time_sec"];
        assert_eq!((of.n, of.ci_method), (20, Some(CiMethod::BcaBootstrap)));
        assert_eq!(of.outliers, [7]);
        assert!(of.median_ci_low < of.median_ci_high && of.effective_n.is_some());
        assert!(of.ci_low.expect("known") < of.mean && of.mean < of.ci_high.expect("known"));
    }

    #[test]
    fn a_ratio_of_sums_has_its_own_interval_beside_that_of_the_mean_of_ratios() {
        let lengths: Vec<f64> = (0..20).map(|cycle| 10.0 + f64::from(cycle % 5)).collect();
        let found = over(&lengths);
        // 4 tokens in each cycle.
        let of = &found["effective_throughput"];
        assert_eq!(of.ratio_ci_method, Some(CiMethod::BcaBootstrap));
        assert!(
            of.ratio_ci_low < of.ratio_of_sums && of.ratio_of_sums < of.ratio_ci_high,
            "{of:?}"
        );
        let of = &found["output_throughput"];
        assert_eq!(of.ratio_of_sums, Some(80.0 / lengths.iter().sum::<f64>()));
        assert!(
            of.mean > 80.0 / lengths.iter().sum::<f64>(),
            "the mean of rates is another figure"
        );
        let few = over(&[10.0, 12.0]);
        assert_eq!(few["output_throughput"].ratio_of_sums, Some(8.0 / 22.0));
        assert_eq!(few["output_throughput"].ratio_ci_low, None);
        assert_eq!(few["inference_time_sec"].ratio_of_sums, None, "it is no ratio");
    }

    #[test]
    fn what_all_cycles_have_alike_stands_apart_and_combined() {
        let found = over(&[8.0, 10.0]);
        // 1 J of 80 J in each cycle.
        let of = &found["host_cpu_energy_j"];
        assert_eq!((of.mean, of.instrument_uncertainty), (80.0, Some(1.0)));
        assert_eq!(
            (of.ci_low, of.combined_low, of.combined_high),
            (Some(80.0), Some(79.0), Some(81.0))
        );
    }

    #[test]
    fn a_percentile_of_few_requests_names_the_number_that_is_needed() {
        let mut cycle = rank_cycle(0, 0, 0.0, 10.0);
        cycle.requests = (0..20)
            .map(|index| request(index, 5, &[1.0 + f64::from(index), 30.0], 1.0))
            .collect();
        let found = request_percentiles(&[cycle]);
        assert_eq!(found.len(), 9);
        let of = &found["p99_ttft_ms"];
        assert_eq!(
            (of.requests, of.percentile, of.ci_high, of.upper_bound),
            (20, 99.0, None, None)
        );
        let expected = "upper_bound needs 299 requests and ci_high needs 368; there are 20";
        assert_eq!(of.note.as_deref(), Some(expected));
        let of = &found["median_ttft_ms"];
        assert!(
            of.ci_low < Some(of.value) && of.ci_high > Some(of.value) && of.note.is_none(),
            "{of:?}"
        );
        assert!(request_percentiles(&[]).is_empty());
    }
}
