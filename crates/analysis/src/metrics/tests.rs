use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::*;
use joulemark_experiment::report::EfficiencyMetrics;
use joulemark_measurement::{ComputeMetrics, EnergyMetrics, InferenceMetrics};

fn null_keys(group: &impl Serialize) -> Vec<String> {
    let Value::Object(keys) = serde_json::to_value(group).unwrap() else {
        panic!("a group is an object");
    };
    let nulls = keys.into_iter().filter(|(_, value)| value.is_null());
    nulls.map(|(key, _)| key).collect()
}

#[test]
fn the_table_holds_every_key_of_a_result_that_may_be_null_in_the_order_of_the_result() {
    let groups = [
        ("/inference", null_keys(&InferenceMetrics::default())),
        ("/energy", null_keys(&EnergyMetrics::default())),
        ("/compute", null_keys(&ComputeMetrics::default())),
        ("/efficiency", null_keys(&EfficiencyMetrics::default())),
    ];
    for (pointer, keys) in groups {
        let rows = all().iter().filter(|metric| metric.group.pointer() == pointer);
        let names: Vec<_> = rows.map(|metric| metric.name).collect();
        assert_eq!(names, keys, "{pointer}");
    }
}

#[test]
fn every_metric_has_a_name_of_its_own_and_says_what_it_is() {
    let names: HashSet<_> = all().iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), all().len());
    for metric in all() {
        assert!(
            !metric.about.is_empty() && !metric.description.is_empty(),
            "{}",
            metric.name
        );
        let says = |text: &str| text.ends_with('.') && !text.contains("  ");
        assert!(says(metric.source) && says(metric.limits), "{}", metric.name);
    }
}

#[test]
fn a_formula_names_metrics_of_the_table_and_stands_in_what_is_said_of_the_metric() {
    for metric in all() {
        for part in metric.parts() {
            assert!(find(all(), part).is_some(), "{}: {part}", metric.name);
        }
        let formula = metric.formula.unwrap_or_default();
        let said = metric.description.contains(formula) || metric.about.contains(formula);
        assert!(said, "{}: {formula}", metric.name);
    }
}

#[test]
fn no_two_headlines_have_one_place() {
    let places: Vec<_> = all().iter().filter_map(|metric| metric.headline).collect();
    assert_eq!(places.iter().collect::<HashSet<_>>().len(), places.len());
}

#[test]
fn a_field_is_found_by_its_name_and_by_its_place_in_a_result() {
    let name = |field| explain(field).map(|found| found.name);
    assert_eq!(name("output_throughput"), Some("output_throughput"));
    assert_eq!(name("inference.output_throughput"), Some("output_throughput"));
    assert_eq!(name("compute.roofline.roofline_share"), Some("roofline_share"));
    assert_eq!(name("energy.output_throughput"), None);
    assert_eq!(name("nothing"), None);
}

#[test]
fn every_figure_of_the_spread_over_cycles_is_explained() {
    let spread = serde_json::to_value(joulemark_experiment::report::CycleSpread::default()).unwrap();
    for name in spread.as_object().unwrap().keys() {
        for field in [format!("cycle_sd.{name}"), format!("{name}_cycle_sd")] {
            let found = explain(&field).unwrap_or_else(|| panic!("{field} is not explained"));
            assert_eq!(
                (found.place(), found.group.as_str()),
                (format!("cycle_sd.{name}"), "cycle_sd")
            );
            let of = find(all(), name).expect("a metric");
            assert_eq!(found.unit, of.unit);
            assert!(
                found.description.contains(&format!("{}.{name}", of.group.path())),
                "{found:?}"
            );
        }
    }
    let whole = explain("cycle_sd").expect("the object itself");
    assert_eq!(whole.place(), "cycle_sd");
    let places = explanations().into_iter().map(|explanation| explanation.place());
    assert_eq!(places.clone().collect::<HashSet<_>>().len(), places.count());
}
