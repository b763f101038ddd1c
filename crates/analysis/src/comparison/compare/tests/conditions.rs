//! Tests of the conditions of two results.

use super::*;
use crate::comparison::CpuSettings;
use joulemark_experiment::report::{RaplLimit, RunConditions};

#[test]
fn a_different_power_limit_is_a_setting_that_a_note_names() {
    let with = |power_limit_w: Option<f64>| MeasuredResult {
        power_limit_w,
        ..result("a", &A)
    };
    for (one, other, is_noted) in [
        (Some(400.0), Some(300.0), true),
        (Some(400.0), Some(400.5), false),
        (Some(400.0), None, false),
    ] {
        let found = compared(&with(one), &with(other));
        assert_eq!(found.comparisons.len(), 2, "{found:?}");
        let seen = found.comparisons.iter().map(notes).collect::<String>();
        assert_eq!(seen.contains("400 W was in force in the baseline"), is_noted, "{seen}");
    }
}

#[test]
fn a_different_offered_load_is_different_work_and_a_different_concurrency_is_a_setting() {
    let with = |load: Value| {
        let mut found = result("a", &A);
        found.spec.load = serde_json::from_value(load).expect("a load");
        found
    };
    let closed = |concurrency: u32| with(json!({"closed": {"concurrency": concurrency}}));
    let open = |rate: f64| with(json!({"open": {"rate_per_sec": rate, "requests": 9}}));
    let replay = |file: &str, sha256: Value| with(json!({"replay": {"file": file, "sha256": sha256}}));
    let known = "ab".repeat(32);
    for (one, other, is_compared, is_noted) in [
        (closed(1), closed(4), true, true),
        (with(json!(null)), closed(4), true, true),
        (closed(4), closed(4), true, false),
        (open(2.0), open(2.0), true, false),
        (open(2.0), open(4.0), false, false),
        (open(2.0), closed(4), false, false),
        (with(json!(null)), open(2.0), false, false),
        (replay("a", json!(known)), replay("b", json!(known)), true, false),
        (replay("a", json!(null)), replay("b", json!(null)), false, false),
    ] {
        let found = compared(&one, &other);
        let seen = found.comparisons.iter().map(notes).collect::<String>();
        let loads = (&one.spec.load, &other.spec.load);
        assert_eq!(
            found.comparisons.len(),
            if is_compared { 2 } else { 0 },
            "{loads:?}: {found:?}"
        );
        assert_eq!(seen.contains("different concurrency"), is_noted, "{loads:?}: {seen}");
        let reasons = found.not_compared.iter();
        assert!(
            { reasons }.all(|of| of.reason.contains("different offered load")),
            "{found:?}"
        );
    }
}

#[test]
fn different_cpu_settings_are_named_where_both_are_known() {
    let limit = |zone: &str, constraint: &str, power_limit_w: f64| RaplLimit {
        zone: zone.to_owned(),
        constraint: constraint.to_owned(),
        power_limit_w,
        time_window_sec: (constraint == "long_term").then_some(28.0),
    };
    let with = |conditions: RunConditions| MeasuredResult {
        cpu: CpuSettings::from(&conditions),
        ..result("a", &A)
    };
    let set = || RunConditions {
        cpu_governors: vec!["performance".to_owned()],
        cpu_scaling_driver: Some("intel_pstate".to_owned()),
        turbo: Some(true),
        rapl_limits: vec![
            limit("dram", "long_term", 40.0),
            limit("dram", "long_term", 40.0),
            limit("package-0", "long_term", 125.0),
            limit("package-0", "short_term", 250.0),
        ],
        ..RunConditions::default()
    };
    let mut otherwise = set();
    otherwise.cpu_governors.push("powersave".to_owned());
    otherwise.cpu_scaling_driver = Some("acpi-cpufreq".to_owned());
    otherwise.turbo = Some(false);
    otherwise.rapl_limits[0].power_limit_w = 30.0;
    otherwise.rapl_limits[2].time_window_sec = Some(1.0);
    otherwise.rapl_limits.pop();
    let found = compared(&with(set()), &with(otherwise));
    assert_eq!(found.comparisons.len(), 2, "it is a setting, and compared: {found:?}");
    for comparison in &found.comparisons {
        assert_eq!(
            comparison.notes,
            [
                "different CPU frequency governor: performance in the baseline, performance and powersave in the \
                 candidate",
                "different CPU frequency driver: intel_pstate in the baseline, acpi-cpufreq in the candidate",
                "different CPU turbo setting: on in the baseline, off in the candidate",
                "different RAPL limits: dram long_term has 40 W over 28 s and 40 W over 28 s in the baseline, 30 W over 28 s and \
                 40 W over 28 s in the candidate; package-0 long_term has 125 W over 28 s in the baseline, 125 W over 1 s in \
                 the candidate; package-0 short_term has 250 W in the baseline, no limit in the candidate",
            ]
        );
    }
    for (one, other) in [
        (set(), set()),
        (set(), RunConditions::default()),
        (RunConditions::default(), set()),
    ] {
        let found = compared(&with(one), &with(other));
        let seen = found.comparisons.iter().map(notes).collect::<String>();
        assert_eq!(seen, "");
    }
}
