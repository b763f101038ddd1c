//! Notes that are printed behind a figure: its uncertainty, what it is a mean over, and the spread of its cycles. Pure.

use serde_json::Value;

use super::quantity::brief;
use joulemark_analysis::metrics::{Group, Metric};

/// Relative difference below which two rates count as equal.
const SAME_RATE: f64 = 0.01;
const GUESS: &str = "a guess from nameplate power";

/// Returns the note on a known figure, without brackets; `None` when there is nothing to note.
pub fn note(results: &Value, metric: &Metric) -> Option<String> {
    let of_rate = || match metric.name {
        "output_throughput" => Some("of the whole experiment".to_owned()),
        "tokens_per_second" => Some(which_mean(results)),
        _ => None,
    };
    let said = of_rate()
        .or_else(|| share_of_host(results, metric.name))
        .or_else(|| half_width(results, metric));
    let more = spread(results, metric).into_iter().chain(steady(results, metric));
    let said: Vec<_> = said.into_iter().chain(more).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Returns whether a figure is the half-width of another one of its group; it is then printed behind that one.
pub fn is_half_width(name: &str, group: &serde_json::Map<String, Value>) -> bool {
    let energy = name.strip_suffix("_uncertainty_j").map(|stem| format!("{stem}_j"));
    energy.is_some_and(|energy| group.contains_key(&energy))
}

/// Returns what `tokens_per_second` is a mean over, and why it differs from the rate of the experiment.
fn which_mean(results: &Value) -> String {
    let inference = &results["inference"];
    let processes = results["experiment"]["num_processes"].as_u64();
    let cycles = cycles(results);
    let rates = (
        inference["tokens_per_second"].as_f64(),
        inference["output_throughput"].as_f64(),
    );
    let differ = matches!(rates, (Some(mean), Some(whole)) if (mean - whole).abs() > SAME_RATE * whole);
    match processes {
        Some(processes) if processes > 1 => {
            format!("mean over {processes} processes: the rate of one process while the others run")
        }
        Some(1) if differ => format!(
            "mean over {cycles} uneven cycles, each with the same weight; output_throughput weights them by duration"
        ),
        _ => "mean over processes and cycles".to_owned(),
    }
}

fn share_of_host(results: &Value, name: &str) -> Option<String> {
    let (part, domain) = match name {
        "cpu_energy_j" => ("cpu", "package"),
        "dram_energy_j" => ("dram", "dram"),
        _ => return None,
    };
    let energy = &results["energy"];
    let both = |part: &str| {
        let energy_j = energy[format!("{part}_energy_j")].as_f64()?;
        let half_width_j = energy[format!("{part}_energy_uncertainty_j")].as_f64()?;
        Some(format!("{} ± {} J", brief(energy_j), brief(half_width_j)))
    };
    let (yours, hosts) = (both(part)?, both(&format!("host_{part}"))?);
    let known = kind_of_interval(results, Some(domain));
    Some(format!("yours {yours} of the host's {hosts}, {known}"))
}

fn half_width(results: &Value, metric: &Metric) -> Option<String> {
    let Group::Energy(_) = metric.group else {
        return None;
    };
    let stem = metric.name.strip_suffix("_j")?;
    let half_width_j = results["energy"][format!("{stem}_uncertainty_j")].as_f64()?;
    let domain = match metric.name {
        "gpu_energy_j" => Some("gpu"),
        "host_cpu_energy_j" => Some("package"),
        "host_dram_energy_j" => Some("dram"),
        _ => None,
    };
    Some(format!(
        "± {} J, {}",
        brief(half_width_j),
        kind_of_interval(results, domain)
    ))
}

/// Returns the nature of the half-width of a domain, or of the total for `None`: a 95 % interval or a guess.
fn kind_of_interval(results: &Value, domain: Option<&str>) -> String {
    let sources = results["energy"]["sources"].as_array().into_iter().flatten();
    let counted = sources.filter(|source| {
        let of_domain = domain.is_none_or(|domain| source["domain"] == domain);
        of_domain && source["counted_in_total"] == true
    });
    let guessed: Vec<bool> = counted.map(|source| source["method"] == "estimate").collect();
    match (guessed.contains(&true), guessed.contains(&false)) {
        (true, false) => GUESS.to_owned(),
        (true, true) => format!("in part {GUESS}"),
        (false, _) => "95 %".to_owned(),
    }
}

/// Returns the note on the spread over cycles. An energy of a result is the sum over its cycles, so the mean of a cycle
/// stands beside its interval.
fn spread(results: &Value, metric: &Metric) -> Option<String> {
    let deviation = results["cycle_sd"][metric.name].as_f64()?;
    let deviation = format!(
        "standard deviation {} over {} cycles",
        brief(deviation),
        cycles(results)
    );
    let of = &results["statistics"][metric.name];
    let interval = of["ci_low"].as_f64().zip(of["ci_high"].as_f64());
    let is_sum = metric.unit == "J";
    Some(match (interval, of["mean"].as_f64().filter(|_| is_sum)) {
        (Some((low, high)), Some(mean)) => format!(
            "per cycle {}, 95 % {} to {}, {deviation}",
            brief(mean),
            brief(low),
            brief(high)
        ),
        (None, Some(mean)) => format!("per cycle {}, {deviation}", brief(mean)),
        (Some((low, high)), None) if !is_sum => {
            format!(
                "{deviation}, 95 % interval of the mean from {} to {}",
                brief(low),
                brief(high)
            )
        }
        _ => deviation,
    })
}

/// Returns the note on the figure's value in steady state.
fn steady(results: &Value, metric: &Metric) -> Option<String> {
    let shown = metric.headline.is_some() || metric.has_spread();
    let of = results["steady_state"]
        .pointer(metric.group.pointer())
        .filter(|_| shown)?;
    let figure = of[metric.name].as_f64()?;
    let half_width = metric
        .name
        .strip_suffix("_j")
        .map(|stem| &of[format!("{stem}_uncertainty_j")]);
    let half_width = half_width.and_then(Value::as_f64);
    let half_width = half_width.map(|width| format!(" ± {}", brief(width)));
    Some(format!(
        "steady state {}{}",
        brief(figure),
        half_width.unwrap_or_default()
    ))
}

fn cycles(results: &Value) -> usize {
    results["cycles"].as_array().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use joulemark_analysis::metrics::{all, find};
    use serde_json::json;

    use super::*;

    fn said(results: &Value, name: &str) -> Option<String> {
        note(results, find(all(), name).expect("a metric"))
    }

    fn estimated() -> Value {
        json!({"energy": {
            "total_energy_j": 43.1, "total_energy_uncertainty_j": 30.2,
            "cpu_energy_j": 43.1, "cpu_energy_uncertainty_j": 30.2,
            "host_cpu_energy_j": 106.0, "host_cpu_energy_uncertainty_j": 74.2,
            "sources": [{"domain": "package", "method": "estimate", "counted_in_total": true}]}})
    }

    #[test]
    fn your_energy_is_shown_with_the_hosts_and_each_has_its_half_width() {
        let results = estimated();
        assert_eq!(
            said(&results, "cpu_energy_j").as_deref(),
            Some("yours 43.1 ± 30.2 J of the host's 106 ± 74.2 J, a guess from nameplate power")
        );
        assert_eq!(
            said(&results, "total_energy_j").as_deref(),
            Some("± 30.2 J, a guess from nameplate power")
        );
    }

    #[test]
    fn a_measured_energy_has_a_95_percent_interval() {
        let mut results = estimated();
        results["energy"]["sources"][0]["method"] = "energy_counter".into();
        assert_eq!(said(&results, "host_cpu_energy_j").as_deref(), Some("± 74.2 J, 95 %"));
        let gpu = json!({"domain": "gpu", "method": "estimate", "counted_in_total": true});
        results["energy"]["sources"].as_array_mut().unwrap().push(gpu);
        let total = said(&results, "total_energy_j");
        assert_eq!(total.as_deref(), Some("± 30.2 J, in part a guess from nameplate power"));
    }

    #[test]
    fn the_note_on_tokens_per_second_says_what_it_is_a_mean_over() {
        let of = |processes, mean, whole| {
            json!({"experiment": {"num_processes": processes}, "cycles": [{}, {}, {}],
                "inference": {"tokens_per_second": mean, "output_throughput": whole}})
        };
        let said = |results| said(&results, "tokens_per_second").unwrap();
        assert!(said(of(2, 32.0, 63.8)).starts_with("mean over 2 processes: "));
        assert!(said(of(1, 15.5, 12.2)).starts_with("mean over 3 uneven cycles, "));
        assert_eq!(said(of(1, 12.25, 12.2)), "mean over processes and cycles");
        assert_eq!(said(json!({})), "mean over processes and cycles");
    }

    #[test]
    fn the_spread_over_cycles_is_shown_as_a_standard_deviation() {
        let results = json!({"cycle_sd": {"mean_ttft_ms": 4.25}, "cycles": [{}, {}]});
        let said = said(&results, "mean_ttft_ms");
        assert_eq!(said.as_deref(), Some("standard deviation 4.25 over 2 cycles"));
    }

    #[test]
    fn an_energy_is_shown_with_the_mean_of_a_cycle_and_its_interval() {
        let mut results = json!({"energy": {"total_energy_j": 0.638}, "cycle_sd": {"total_energy_j": 0.0133},
            "statistics": {"total_energy_j": {"mean": 0.1276, "ci_low": 0.111, "ci_high": 0.144}}, "cycles": [{}, {}, {}, {}, {}]});
        let expected = "per cycle 0.128, 95 % 0.111 to 0.144, standard deviation 0.0133 over 5 cycles";
        assert_eq!(said(&results, "total_energy_j").as_deref(), Some(expected));
        results["statistics"]["total_energy_j"] = json!({"mean": 0.1276, "ci_low": null, "ci_high": null});
        let expected = "per cycle 0.128, standard deviation 0.0133 over 5 cycles";
        assert_eq!(said(&results, "total_energy_j").as_deref(), Some(expected));
        let ratio = json!({"cycle_sd": {"joules_per_output_token": 0.1}, "cycles": [{}, {}],
            "statistics": {"joules_per_output_token": {"mean": 2.0, "ci_low": 1.5, "ci_high": 2.5}}});
        let expected = "standard deviation 0.100 over 2 cycles, 95 % interval of the mean from 1.50 to 2.50";
        assert_eq!(said(&ratio, "joules_per_output_token").as_deref(), Some(expected));
    }

    #[test]
    fn the_steady_state_value_is_shown_behind_a_figure() {
        let results = json!({"steady_state": {"inference": {"mean_ttft_ms": 4.0, "p99_ttft_ms": 9.0},
            "energy": {"total_energy_j": 12.0, "total_energy_uncertainty_j": 0.5}}});
        assert_eq!(said(&results, "mean_ttft_ms").as_deref(), Some("steady state 4.00"));
        assert_eq!(
            said(&results, "total_energy_j").as_deref(),
            Some("steady state 12.0 ± 0.500")
        );
        assert_eq!(said(&results, "p99_ttft_ms"), None);
        assert_eq!(
            said(&json!({"steady_state": {"inference": null}}), "mean_ttft_ms"),
            None
        );
    }

    #[test]
    fn figures_that_an_older_result_lacks_have_no_note() {
        assert_eq!(
            said(&json!({"energy": {"total_energy_j": 1.0}}), "total_energy_j"),
            None
        );
        let group = json!({"total_energy_j": null, "total_energy_uncertainty_j": null});
        assert!(is_half_width("total_energy_uncertainty_j", group.as_object().unwrap()));
        assert!(!is_half_width("total_energy_j", group.as_object().unwrap()));
    }
}
