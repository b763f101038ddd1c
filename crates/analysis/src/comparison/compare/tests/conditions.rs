//! What two results were measured under.

use super::*;

#[test]
fn another_power_limit_is_a_setting_and_said() {
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
fn another_offered_load_is_other_work_and_another_concurrency_a_setting() {
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
        assert_eq!(seen.contains("requests in flight"), is_noted, "{loads:?}: {seen}");
        let reasons = found.not_compared.iter();
        assert!(
            { reasons }.all(|of| of.reason.contains("another offered load")),
            "{found:?}"
        );
    }
}
