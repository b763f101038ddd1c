//! What neither Cargo nor clippy can hold the source to. Which package may use which stands in their manifests, and who
//! may ask for the time in `clippy.toml`.

use std::path::{Path, PathBuf};

const MAX_LINES: usize = 500;
const JUNK_DRAWERS: [&str; 8] = [
    "util", "utils", "helper", "helpers", "common", "manager", "managers", "misc",
];
/// The kernel's clocks that tell the time; those of a process's CPU time do not.
const KERNEL_CLOCKS: [&str; 3] = ["CLOCK_MONOTONIC)", "CLOCK_REALTIME", "CLOCK_BOOTTIME"];
const CLOCK: &str = "crates/measurement/src/clock.rs";
/// Modules of the service, and those that they never name.
const FLOORS: [(&str, &[&str]); 2] = [
    ("src/scheduler", &["crate::http", "crate::cli"]),
    ("src/http", &["crate::cli"]),
];

/// Debug prints that no reader meets as a type's or as a text's with escapes: names of our own, lists of numbers, and what
/// tags of answers are made from.
const PLAIN_DEBUG_PRINTS: [&str; 11] = [
    "{SYNTHETIC_PREFIX:?}",
    "{MISTRAL:?}",
    "{cpus:?}",
    "{found:?} instead of {expected:?}",
    "{dtype} {:?}",
    "impossible shape {shape:?}",
    "EntityTag::new(",
    "finished_tag(",
    "{fields:?} {}",
    "shown.prompts_withheld",
    "export {format:?} {table:?}",
];
/// Files whose prints nobody but a developer reads.
const OF_DEVELOPERS: [&str; 7] = [
    "tests", "contract", "examples", "benches", "testkit", "fixtures", "testdata",
];

pub struct Source {
    pub path: String,
    pub text: String,
}

/// Every Rust file of the repository, below the folders that hold them.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = ["src", "crates", "engines", "tests", "benches"]
        .map(|name| root.join(name))
        .into();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the source").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(Source {
                    text: std::fs::read_to_string(&path).expect("a source file"),
                    path: path.strip_prefix(root).expect("below the root").display().to_string(),
                });
            }
        }
    }
    sources
}

fn problems(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let mut problems = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        problems.push(format!(
            "{path}: a file has at most {MAX_LINES} lines, this one {lines}"
        ));
    }
    let names = path.trim_end_matches(".rs").split('/');
    for drawer in names.filter(|name| JUNK_DRAWERS.contains(name)) {
        problems.push(format!(
            "{path}: no module is called {drawer}; name it after what it holds"
        ));
    }
    if path.ends_with("/mod.rs") {
        problems.push(format!(
            "{path}: a module's file stands beside its folder (foo.rs, foo/), not in it"
        ));
    }
    let is_test = path.starts_with("tests/");
    for clock in KERNEL_CLOCKS.iter().filter(|clock| text.contains(**clock)) {
        if path != CLOCK && !is_test {
            problems.push(format!("{path}: only {CLOCK} reads {clock}; take the time from there"));
        }
    }
    let is_of_developers = path
        .split(['/', '.'])
        .any(|part| OF_DEVELOPERS.contains(&part) || part.ends_with("_tests") || part == "power_curve_errors");
    if !is_of_developers {
        problems.extend(debug_prints(text).map(|line| {
            format!("{path}: a message has no debug print; show a text by joulemark_measurement::quoted: {line}")
        }));
    }
    for (module, forbidden) in FLOORS {
        let is_of_module = path
            .strip_prefix(module)
            .is_some_and(|rest| rest.starts_with(['.', '/']));
        for name in forbidden.iter().filter(|name| is_of_module && text.contains(**name)) {
            problems.push(format!("{path}: {module} stands below {name} and does not name it"));
        }
    }
    problems
}

/// Lines with a debug print that a reader may meet.
fn debug_prints(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().map(str::trim).filter(|line| line.contains(":?}"));
    lines.filter(|line| {
        let is_for_developers = line.starts_with("//") || line.contains("assert") || line.contains("panic!");
        !is_for_developers && PLAIN_DEBUG_PRINTS.iter().all(|plain| !line.contains(plain))
    })
}

/// The constants of a file, but for those of its tests and those that hold text.
fn constants(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let declared = code.split("const ").skip(1).filter_map(|rest| rest.split_once(": "));
    let numeric = declared.filter(|(_, of)| !of.starts_with('&'));
    numeric.map(|(name, _)| name)
}

#[test]
fn every_constant_of_the_estimation_stands_in_the_methodology() {
    let methodology = include_str!("../../docs/methodology.md");
    let mut sources = sources();
    sources
        .retain(|source| source.path.starts_with("crates/meter/src/estimation") && !source.path.ends_with("tests.rs"));
    let mut names: Vec<&str> = sources.iter().flat_map(|source| constants(&source.text)).collect();
    assert!(names.len() > 50, "only {}: is this the estimation?", names.len());
    names.retain(|name| !methodology.contains(&format!("`{name}`")));
    assert!(
        names.is_empty(),
        "docs/methodology.md does not say where these come from: {names:?}"
    );
}

#[test]
fn the_source_keeps_to_the_architecture() {
    let sources = sources();
    assert!(sources.len() > 300, "only {} files: is this the source?", sources.len());
    let problems: Vec<_> = sources.iter().flat_map(problems).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let said = |path: &str, text: &str| {
        let (path, text) = (path.to_owned(), text.to_owned());
        problems(&Source { path, text }).len()
    };
    assert_eq!(said("src/http/page.rs", "use crate::scheduler::Scheduler;"), 0);
    assert_eq!(said("src/http/page.rs", "use crate::cli::run;"), 1);
    assert_eq!(said("src/scheduler.rs", "fn f() -> crate::http::Problem {}"), 1);
    assert_eq!(said("crates/meter/src/util.rs", ""), 1);
    assert_eq!(said("src/http/mod.rs", ""), 1);
    assert_eq!(said("src/long.rs", &"\n".repeat(MAX_LINES + 1)), 1);
    assert_eq!(said("src/late.rs", "clock_gettime(ClockId::CLOCK_MONOTONIC)"), 1);
    assert_eq!(said(CLOCK, "clock_gettime(ClockId::CLOCK_MONOTONIC)"), 0);
    assert_eq!(said("src/http/page.rs", "format!(\"is {text:?}\")"), 1);
    assert_eq!(
        said(
            "src/http/page.rs",
            "#[cfg(test)]\nmod tests {\nformat!(\"is {text:?}\")"
        ),
        0
    );
    assert_eq!(said("src/engines.rs", "format!(\"no engine {MISTRAL:?}\")"), 0);
    assert_eq!(said("tests/integration/page.rs", "format!(\"is {text:?}\")"), 0);
}
