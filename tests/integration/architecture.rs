//! Holds the architecture as a table and fails on an import that breaks it. `ARCHITECTURE.md` says why it is so.

mod lexer;
mod scanner;
mod tree;

use std::collections::BTreeSet;
use std::fmt;

use scanner::{Import, calls_of_now, imports, lines_naming};
use tree::{SourceFile, read_tree};

/// A module imports from lower floors only.
const FLOORS: [&[&str]; 6] = [
    &[
        "units",
        "access",
        "clock",
        "config",
        "experiment",
        "measurement",
        "metrics",
        "report",
    ],
    &["statistics", "analysis", "flops", "tables"],
    &[
        "energy",
        "model_files",
        "inference",
        "store",
        "progress",
        "callback",
        "client",
        "trace",
    ],
    &["worker", "scheduler"],
    &["http"],
    &["cli"],
];

/// Words may import each other, as long as no two depend on each other.
const WORDS_FLOOR: usize = 0;

/// What else a module may import of its own floor: the path's beginning.
const SAME_FLOOR: [(&str, &[&str]); 5] = [
    ("analysis", &["statistics"]),
    ("analysis", &["flops"]),
    ("tables", &["analysis"]),
    ("tables", &["statistics"]),
    ("scheduler", &["worker", "protocol"]),
];

/// Crates that only some files may name, by the beginning of the file's path.
const KEPT_CRATES: [(&str, &str); 12] = [
    ("arrow_array", "src/tables"),
    ("arrow_schema", "src/tables"),
    ("parquet", "src/tables"),
    ("indicatif", "src/cli/client"),
    ("sqlx", "src/store"),
    ("opentelemetry", "src/trace"),
    ("opentelemetry_http", "src/trace"),
    ("opentelemetry_otlp", "src/trace"),
    ("opentelemetry_sdk", "src/trace"),
    ("mistralrs", "src/inference/mistral"),
    ("mistralrs_core", "src/inference/mistral"),
    ("mistralrs_quant", "src/inference/mistral"),
];

const CLOCK: &str = "src/clock.rs";
/// Our own wrapper of the clock, which `clock` defines and everyone may call.
const OWN_CLOCK_TYPE: &str = "Monotonic";
/// The kernel's clocks that tell the time; those of a process's CPU time do not.
const KERNEL_CLOCKS: [&str; 3] = ["CLOCK_MONOTONIC", "CLOCK_REALTIME", "CLOCK_BOOTTIME"];

const JUNK_DRAWERS: [&str; 8] = [
    "util", "utils", "helper", "helpers", "common", "manager", "managers", "misc",
];
const MOST_LINES: usize = 500;

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

fn violation(file: &SourceFile, line: usize, rule: impl Into<String>) -> Violation {
    Violation {
        path: file.path.clone(),
        line,
        rule: rule.into(),
    }
}

fn check(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations: Vec<_> = files.iter().flat_map(shape).collect();
    for file in files.iter().filter(|file| file.is_of_the_crate()) {
        violations.extend(kept_crates(file));
        violations.extend(clock_calls(file));
        violations.extend(file_imports(file).iter().filter_map(|import| floor_rule(file, import)));
    }
    violations.extend(word_cycles(files));
    violations
}

fn file_imports(file: &SourceFile) -> Vec<Import> {
    imports(&file.text, &file.module())
}

/// Names and lengths, of tests as well.
fn shape(file: &SourceFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    let lines = file.text.lines().count();
    if lines > MOST_LINES {
        violations.push(violation(
            file,
            lines,
            format!("a file has at most {MOST_LINES} lines, this one {lines}"),
        ));
    }
    let folders_and_name = file.path.trim_end_matches(".rs").split('/');
    for drawer in folders_and_name.filter(|name| JUNK_DRAWERS.contains(name)) {
        let rule = format!("no module is called {drawer}; name it after what it holds");
        violations.push(violation(file, 1, rule));
    }
    if file.is_of_the_crate() && file.path.ends_with("/mod.rs") {
        violations.push(violation(
            file,
            1,
            "a module's file stands beside its folder (foo.rs, foo/), not in it",
        ));
    }
    violations
}

fn kept_crates(file: &SourceFile) -> Vec<Violation> {
    let foreign = KEPT_CRATES.iter().filter(|(_, home)| !file.path.starts_with(home));
    let named = foreign.flat_map(|(name, home)| {
        let lines = lines_naming(&file.text, |word| word == *name);
        lines
            .into_iter()
            .map(move |line| violation(file, line, format!("only {home}* names {name}")))
    });
    named.collect()
}

fn clock_calls(file: &SourceFile) -> Vec<Violation> {
    if file.path == CLOCK {
        return Vec::new();
    }
    let calls = calls_of_now(&file.text)
        .into_iter()
        .filter(|(_, of)| of != OWN_CLOCK_TYPE);
    let calls = calls.map(|(line, of)| (line, format!("{of}::now")));
    let direct = KERNEL_CLOCKS.iter().flat_map(|clock| {
        let lines = lines_naming(&file.text, |word| word == *clock);
        lines.into_iter().map(|line| (line, (*clock).to_owned()))
    });
    let all = calls.chain(direct);
    all.map(|(line, call)| {
        violation(
            file,
            line,
            format!("only {CLOCK} reads {call}; take the time from there"),
        )
    })
    .collect()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

fn floor_rule(file: &SourceFile, import: &Import) -> Option<Violation> {
    let refuse = |rule: String| Some(violation(file, import.line, rule));
    let path = import.path.join("::");
    let Some(target) = import.path.first().filter(|first| *first != "*") else {
        return refuse("an import names a module, not the crate's root".to_owned());
    };
    let Some(own) = file.module().into_iter().next() else {
        let is_main = file.path == "src/main.rs";
        return (is_main && target != "cli")
            .then(|| violation(file, import.line, format!("main only calls cli, not {path}")));
    };
    if own == *target {
        return None;
    }
    let Some(own_floor) = floor_of(&own) else {
        return refuse(format!(
            "{own} stands on no floor: add it to the architecture test and to ARCHITECTURE.md"
        ));
    };
    let Some(target_floor) = floor_of(target) else {
        return refuse(format!("{target} is no module of the architecture test's floors"));
    };
    if target_floor < own_floor || (target_floor == WORDS_FLOOR && own_floor == WORDS_FLOOR) {
        return None;
    }
    let may_import = |(module, allowed): &(&str, &[&str])| {
        *module == own && import.path.len() >= allowed.len() && import.path.iter().zip(*allowed).all(|(a, b)| a == b)
    };
    if target_floor == own_floor && SAME_FLOOR.iter().any(may_import) {
        return None;
    }
    let relation = if target_floor > own_floor {
        "a floor above"
    } else {
        "its own floor"
    };
    refuse(format!(
        "{own} (floor {own_floor}) may not import {path}, from {relation} (floor {target_floor})"
    ))
}

/// Imports between words that, followed, lead back to where they start.
fn word_cycles(files: &[SourceFile]) -> Vec<Violation> {
    let words = FLOORS[WORDS_FLOOR];
    let mut edges = Vec::new();
    for file in files.iter().filter(|file| file.is_of_the_crate()) {
        let Some(own) = file
            .module()
            .into_iter()
            .next()
            .filter(|own| words.contains(&own.as_str()))
        else {
            continue;
        };
        for import in file_imports(file) {
            let Some(target) = import.path.into_iter().next() else {
                continue;
            };
            if target != own && words.contains(&target.as_str()) {
                edges.push((own.clone(), target, file, import.line));
            }
        }
    }
    let reaches = |from: &str, to: &str| {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(module) = open.pop() {
            let next = edges
                .iter()
                .filter(|(own, ..)| own == module)
                .map(|(_, target, ..)| target.as_str());
            open.extend(next.filter(|target| seen.insert(target)));
        }
        seen.contains(to)
    };
    let cyclic = edges.iter().filter(|(own, target, ..)| reaches(target, own));
    let rule = |own: &str, target: &str| format!("{own} imports {target}, which imports {own} in its turn");
    cyclic
        .map(|(own, target, file, line)| violation(file, *line, rule(own, target)))
        .collect()
}

#[test]
fn the_source_keeps_to_the_architecture() {
    let files = read_tree();
    let violations: Vec<_> = check(&files).iter().map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        violations.len(),
        violations.join("\n")
    );
}

// A scanner that found nothing would let everything pass.
#[test]
fn the_scanner_sees_every_plain_import_of_the_source() {
    let files = read_tree();
    let of_the_crate = files.iter().filter(|file| file.is_of_the_crate());
    let mut plain_imports = 0;
    for file in of_the_crate {
        let found: BTreeSet<_> = file_imports(file).iter().map(|import| import.line).collect();
        for (number, line) in file.text.lines().enumerate() {
            if line.starts_with("use crate::") && !line.ends_with('{') {
                plain_imports += 1;
                assert!(
                    found.contains(&(number + 1)),
                    "{}:{} is not seen",
                    file.path,
                    number + 1
                );
            }
        }
    }
    assert!(plain_imports > 20, "only {plain_imports} imports: is this the source?");
}

#[test]
fn every_module_of_the_source_stands_on_a_floor() {
    let own = |file: &SourceFile| file.module().into_iter().next();
    let modules: BTreeSet<_> = read_tree()
        .iter()
        .filter(|file| file.is_of_the_crate())
        .filter_map(own)
        .collect();
    let homeless: Vec<_> = modules.iter().filter(|module| floor_of(module).is_none()).collect();
    assert!(homeless.is_empty(), "not in the table: {homeless:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `check` says of a tree with this one file.
    fn said(path: &str, text: &str) -> Vec<String> {
        said_of(&[(path, text)])
    }

    fn said_of(files: &[(&str, &str)]) -> Vec<String> {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        let files: Vec<_> = files.iter().map(file).collect();
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn importing_from_a_floor_below_is_fine() {
        assert!(
            said(
                "src/scheduler/launch.rs",
                "use crate::{energy::HostMeter, store, units::*};"
            )
            .is_empty()
        );
        assert!(said("src/main.rs", "fn main() { joulemark::cli::main() }").is_empty());
        assert!(said("src/lib.rs", "pub mod store;").is_empty());
        assert!(
            said(
                "src/energy/window.rs",
                "use super::timeline::Timeline; use crate::energy::source;"
            )
            .is_empty()
        );
    }

    #[test]
    fn importing_from_a_floor_above_is_refused() {
        let refused = said("src/store/claim.rs", "use crate::units;\nuse crate::scheduler::Lease;");
        let rule = "store (floor 2) may not import scheduler::Lease, from a floor above (floor 3)";
        assert_eq!(refused, [format!("src/store/claim.rs:2: {rule}")]);
        assert_eq!(
            said("src/units.rs", "fn f() -> crate::http::Problem { todo!() }").len(),
            1
        );
        assert_eq!(
            said("src/analysis/checks.rs", "use super::super::{units, store::Store};").len(),
            1
        );
        assert_eq!(
            said("src/analysis.rs", "mod tests { use super::super::energy; }").len(),
            1
        );
    }

    #[test]
    fn edges_do_not_import_each_other() {
        let refused = said("src/energy.rs", "use crate::{store::Store, progress};");
        assert_eq!(refused.len(), 2);
        assert!(refused[0].ends_with("energy (floor 2) may not import store::Store, from its own floor (floor 2)"));
    }

    #[test]
    fn the_scheduler_knows_of_the_worker_the_protocol_only() {
        assert!(said("src/scheduler.rs", "use crate::worker::protocol::Event;").is_empty());
        assert!(said("src/scheduler.rs", "use crate::worker::{protocol, protocol::Event};").is_empty());
        assert_eq!(said("src/scheduler.rs", "use crate::worker::{protocol, run};").len(), 1);
        assert_eq!(said("src/scheduler.rs", "use crate::worker;").len(), 1);
        assert_eq!(said("src/worker.rs", "use crate::scheduler;").len(), 1);
    }

    #[test]
    fn analysis_may_use_its_neighbours_but_not_they_it() {
        assert!(said("src/analysis.rs", "use crate::{flops, statistics::interval};").is_empty());
        assert_eq!(said("src/flops.rs", "use crate::analysis;").len(), 1);
        assert_eq!(said("src/statistics.rs", "use crate::flops;").len(), 1);
    }

    #[test]
    fn words_import_each_other_but_not_in_a_circle() {
        assert!(
            said_of(&[
                ("src/report.rs", "use crate::measurement;"),
                ("src/measurement.rs", "use crate::units;")
            ])
            .is_empty()
        );
        let circle = [
            ("src/report.rs", "use crate::measurement;"),
            ("src/measurement/machine.rs", "\nuse crate::experiment;"),
            ("src/experiment.rs", "use crate::{units, report::Report};"),
        ];
        let refused = said_of(&circle);
        assert_eq!(refused.len(), 3);
        assert_eq!(
            refused[1],
            "src/measurement/machine.rs:2: measurement imports experiment, which imports measurement in its turn"
        );
    }

    #[test]
    fn a_module_outside_the_table_is_refused() {
        assert!(said("src/queue.rs", "use crate::units;")[0].contains("queue stands on no floor"));
        assert!(said("src/cli.rs", "use crate::queue;")[0].contains("queue is no module"));
    }

    #[test]
    fn the_crates_root_cannot_be_imported() {
        for source in [
            "use crate::*;",
            "use crate as all;",
            "use crate::{self as all};",
            "use super::*;",
        ] {
            assert!(
                said("src/units.rs", source)[0].contains("not the crate's root"),
                "{source}"
            );
        }
    }

    #[test]
    fn main_only_calls_cli() {
        assert_eq!(
            said("src/main.rs", "use joulemark::store::Store;"),
            ["src/main.rs:1: main only calls cli, not store::Store"]
        );
    }

    #[test]
    fn sqlx_and_mistralrs_are_named_in_one_place_each() {
        assert!(said("src/store/sql.rs", "use sqlx::Any;").is_empty());
        assert!(
            said(
                "src/inference/mistral.rs",
                "use mistralrs::Model; use mistralrs_core::A;"
            )
            .is_empty()
        );
        assert_eq!(
            said("src/http.rs", "// sqlx\nfn f(e: sqlx::Error) {}"),
            ["src/http.rs:2: only src/store* names sqlx"]
        );
        assert_eq!(said("src/inference/engine.rs", "use mistralrs_core::A;").len(), 1);
    }

    #[test]
    fn only_clock_asks_for_the_time() {
        assert!(said(CLOCK, "fn f() { jiff::Timestamp::now(); }").is_empty());
        assert!(
            said(
                "src/energy.rs",
                "use crate::clock::Monotonic; fn f() { Monotonic::now(); \"Instant::now()\" }"
            )
            .is_empty()
        );
        let refused = said("src/energy.rs", "\nfn f() { std::time::Instant::now(); }");
        assert_eq!(
            refused,
            ["src/energy.rs:2: only src/clock.rs reads Instant::now; take the time from there"]
        );
        assert_eq!(
            said("src/energy.rs", "fn f() { clock_gettime(ClockId::CLOCK_REALTIME); }").len(),
            1
        );
        assert!(said("src/energy.rs", "fn f() { clock_gettime(cpu_clock_of(pid)); }").is_empty());
    }

    #[test]
    fn junk_drawers_and_mod_rs_are_refused() {
        assert_eq!(
            said("src/http/util.rs", ""),
            ["src/http/util.rs:1: no module is called util; name it after what it holds"]
        );
        assert_eq!(said("tests/integration/helpers/server.rs", "").len(), 1);
        assert_eq!(said("src/http/mod.rs", "").len(), 1);
        assert!(said("src/http/utility_bill.rs", "").is_empty());
    }

    #[test]
    fn a_file_over_500_lines_is_refused_in_tests_as_well() {
        assert!(said("src/units.rs", &"\n".repeat(500)).is_empty());
        let refused = said("tests/integration/api.rs", &"\n".repeat(501));
        assert_eq!(
            refused,
            ["tests/integration/api.rs:501: a file has at most 500 lines, this one 501"]
        );
    }
}
