//! `joulemark meter` as its users run it: around real commands, on a fake powercap tree that the command itself moves
//! and on the mock NVML, so that the truth is known.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::mock_nvml::{MockNvml, uuid};

/// A powercap tree in a temporary folder; it stands still but for what the metered command writes.
pub struct Powercap(tempfile::TempDir);

impl Powercap {
    pub fn new(zones: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        for (path, name) in zones {
            let folder = tree.0.path().join(path);
            fs::create_dir_all(&folder).expect("a zone");
            fs::write(folder.join("name"), format!("{name}\n")).expect("a name");
            fs::write(folder.join("max_energy_range_uj"), "262143328850\n").expect("a range");
            fs::write(folder.join("energy_uj"), "1000000\n").expect("a counter");
        }
        tree
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    fn counter(&self, zone: &str) -> PathBuf {
        self.0.path().join(zone).join("energy_uj")
    }

    /// A shell command that moves a zone's counter to `microjoules`.
    fn moves(&self, zone: &str, microjoules: u64) -> String {
        format!("echo {microjoules} > '{}'", self.counter(zone).display())
    }
}

pub fn joulemark(subcommand: &str, rapl_root: &Path, nvml: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_joulemark"));
    command
        .arg(subcommand)
        .arg("--rapl-root")
        .arg(rapl_root)
        .arg("--nvml-lib")
        .arg(nvml);
    command.env_remove("JOULEMARK_CONFIG");
    command
}

const NO_NVML: &str = "/nowhere/libnvidia-ml.so";

fn meter(tree: &Powercap, options: &[&str], script: &str) -> Output {
    let mut command = joulemark("meter", tree.root(), Path::new(NO_NVML));
    command
        .args(options)
        .args(["--", "sh", "-c", script])
        .output()
        .expect("it runs")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error} in {text}\n{}", String::from_utf8_lossy(&output.stderr));
    })
}

fn close(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap_or_else(|| panic!("{value} is not {expected}"));
    assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
}

#[test]
fn what_the_command_does_first_and_last_is_counted_and_nothing_is_counted_twice() {
    let tree = Powercap::new(&[
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "dram"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:2", "psys"),
        ("intel-rapl-mmio:0", "package-0"),
    ]);
    let moves = [
        ("intel-rapl:0", 6),
        ("intel-rapl:0:0", 5),
        ("intel-rapl:0:1", 3),
        ("intel-rapl:1", 8),
        ("intel-rapl:2", 30),
    ];
    let script: Vec<String> = moves
        .iter()
        .map(|(zone, joules)| tree.moves(zone, joules * 1_000_000))
        .collect();
    let output = meter(&tree, &["--json"], &script.join("; "));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reading = json(&output);
    close(&reading["cpu_energy_j"], 5.0 + 7.0);
    close(&reading["dram_energy_j"], 2.0);
    close(&reading["total_energy_j"], 14.0);
    assert_eq!(
        (&reading["gpu_energy_j"], &reading["exit_code"]),
        (&Value::Null, &Value::from(0))
    );
    let sources = reading["sources"].as_array().expect("a list");
    let seen: Vec<_> = sources
        .iter()
        .map(|source| (source["zone"].as_str(), source["zone_path"].as_str()))
        .collect();
    assert_eq!(
        seen.len(),
        5,
        "the mmio view of package-0 is no source of its own: {seen:?}"
    );
    let psys = sources.iter().find(|source| source["zone"] == "psys").expect("psys");
    close(&psys["energy_j"], 29.0);
    assert_eq!(psys["counted_in_total"], false);
}

#[test]
fn the_json_has_exactly_its_fields_and_a_window_on_the_monotonic_clock() {
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    let before = joulemark_measurement::clock::Monotonic::now().as_sec();
    let reading = json(&meter(&tree, &["--json"], "sleep 0.3"));
    let after = joulemark_measurement::clock::Monotonic::now().as_sec();
    let mut keys: Vec<&str> = reading
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    let expected = [
        "command",
        "cpu_energy_j",
        "dram_energy_j",
        "duration_sec",
        "exit_code",
        "findings",
        "gpu_energy_j",
        "idle",
        "sources",
        "total_energy_j",
        "warnings",
        "window",
    ];
    assert_eq!(keys, expected);
    let edge = |name: &str| reading["window"][name].as_f64().expect("seconds");
    let (start, end) = (edge("start_monotonic_sec"), edge("end_monotonic_sec"));
    assert!(
        before < start && start + 0.3 <= end && end < after,
        "{before} {start} {end} {after}"
    );
    close(&reading["duration_sec"], end - start);
    let source = &reading["sources"][0];
    assert_eq!(
        (&source["scope"], &source["source"]),
        (&Value::from("host"), &Value::from("rapl_powercap"))
    );
    for field in [
        "gpu",
        "gpu_uuid",
        "mean_power_w",
        "method",
        "confidence",
        "uncertainty_j",
        "counted_in_total",
    ] {
        assert!(source.get(field).is_some(), "{field} is not in {source:#}");
    }
    assert_eq!(source["energy_j"], Value::Null, "a package that stood still is unknown");
    assert!(source["note"].as_str().is_some_and(|note| note.contains("stood still")));
}

#[test]
fn a_counter_that_wraps_under_the_command_is_corrected() {
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    fs::write(tree.root().join("intel-rapl:0/max_energy_range_uj"), "10000000").expect("a range");
    fs::write(tree.counter("intel-rapl:0"), "9000000").expect("a counter");
    close(
        &json(&meter(&tree, &["--json"], &tree.moves("intel-rapl:0", 2_000_000)))["cpu_energy_j"],
        3.0,
    );
}

#[test]
fn the_exit_code_passes_through_and_a_signal_counts_from_128() {
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    for (script, expected) in [("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)] {
        let output = meter(&tree, &["--json"], script);
        assert_eq!(output.status.code(), Some(expected), "{script}");
        assert_eq!(json(&output)["exit_code"], expected, "{script}");
    }
}

#[test]
fn a_command_that_is_not_there_or_cannot_run_has_the_shells_exit_codes() {
    let tree = Powercap::new(&[]);
    for (command, expected) in [("/nowhere/at-all", 127), ("/", 126)] {
        let output = joulemark("meter", tree.root(), Path::new(NO_NVML))
            .args(["--", command])
            .output()
            .expect("it runs");
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(String::from_utf8_lossy(&output.stderr).contains(command));
    }
}

#[test]
fn without_json_standard_output_is_the_commands_alone_and_the_table_goes_to_standard_error() {
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    let script = format!("echo result; {}", tree.moves("intel-rapl:0", 43_000_000));
    let output = meter(&tree, &[], &script);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "result\n");
    let table = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["package-0 (intel-rapl:0)", "42.000 J", "energy counter", "total"] {
        assert!(table.contains(part), "{part} is not in:\n{table}");
    }
}

#[test]
fn json_comes_after_the_commands_output_or_goes_to_the_file_asked_for() {
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    let text = String::from_utf8(meter(&tree, &["--json"], "echo result").stdout).expect("text");
    let (first, rest) = text.split_once('\n').expect("lines");
    assert_eq!(first, "result");
    assert_eq!(serde_json::from_str::<Value>(rest).expect("JSON")["exit_code"], 0);

    let file = tree.root().join("reading.json");
    let output = meter(&tree, &["--output", file.to_str().expect("a path")], "echo result");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "result\n");
    let reading: Value = serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON");
    close(&reading["cpu_energy_j"], 0.0);

    let marker = tree.root().join("was-run");
    let output = meter(
        &tree,
        &["--output", "/nowhere/reading.json"],
        &format!("touch '{}'", marker.display()),
    );
    assert_eq!(output.status.code(), Some(125));
    assert!(
        !marker.exists(),
        "a result that cannot be kept is said before the command is run"
    );
}

#[test]
fn gpus_are_metered_by_index_or_uuid_and_match_the_truth() {
    let mock = MockNvml::new("devices=3\nshape=constant:200,constant:150,constant:50");
    let tree = Powercap::new(&[]);
    for (gpus, watts, count) in [
        (None, 400.0, 3),
        (Some("1"), 150.0, 1),
        (Some(&*format!("2,{}", uuid(0))), 250.0, 2),
    ] {
        let mut command = joulemark("meter", tree.root(), &mock.library());
        command.args(["--json", "--sample-interval-ms", "20"]);
        if let Some(gpus) = gpus {
            command.args(["--gpus", gpus]);
        }
        let reading = json(&command.args(["sleep", "1"]).output().expect("it runs"));
        let truth = watts * reading["duration_sec"].as_f64().expect("seconds");
        let energy = reading["gpu_energy_j"]
            .as_f64()
            .unwrap_or_else(|| panic!("{reading:#}"));
        assert!((energy - truth).abs() < 0.005 * truth, "{energy} for {truth}");
        let of_gpu = |source: &&Value| !source["gpu"].is_null();
        assert_eq!(
            reading["sources"]
                .as_array()
                .expect("a list")
                .iter()
                .filter(of_gpu)
                .count(),
            count
        );
    }
}

#[test]
fn a_gpu_that_is_not_there_is_refused_with_what_there_is_before_the_command_runs() {
    let mock = MockNvml::new("devices=2");
    let tree = Powercap::new(&[]);
    let mut command = joulemark("meter", tree.root(), &mock.library());
    let output = command
        .args(["--gpus", "0,5", "--", "echo", "ran"])
        .output()
        .expect("it runs");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(125), 0));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("names 5, which this host does not have") && message.contains(&uuid(1)),
        "{message}"
    );
}

#[test]
fn an_interrupt_goes_to_the_command_and_the_result_is_still_printed() {
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    let meter = joulemark("meter", tree.root(), Path::new(NO_NVML));
    // A shell cannot trap a signal that was ignored when it started, as SIGINT is beneath `nohup` and `&`.
    let mut child = Command::new("env")
        .arg("--default-signal=INT")
        .arg(meter.get_program())
        .args(meter.get_args())
        .args([
            "--json",
            "--",
            "sh",
            "-c",
            "trap 'exit 3' INT; echo ready; while :; do sleep 0.02; done",
        ])
        .env_remove("JOULEMARK_CONFIG")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("it runs");
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let reading: Value = serde_json::from_str(&rest.join("\n")).expect("JSON");
    assert_eq!(reading["exit_code"], 3);
    assert_eq!(child.wait().expect("it is ours").code(), Some(3));
}

#[test]
fn beside_the_host_s_energy_stands_the_command_s_own_share_however_short_it_was() {
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    let spin = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    let reading = json(&meter(
        &tree,
        &["--json"],
        &format!("({spin}); {}", tree.moves("intel-rapl:0", 31_000_000)),
    ));
    let share = reading["command"]["cpu_time_share"].as_f64().expect("a share");
    assert!(share > 0.0 && share <= 1.0, "{reading}");
    let own = reading["command"]["cpu_energy_j"].as_f64().expect("its energy");
    assert!(own > 0.0 && own <= 30.0 + 1e-6, "{reading}");
    close(&reading["cpu_energy_j"], 30.0);
    // Beside somebody who is busy, or all of an idle host's little CPU time would be the command's.
    let mut other = Command::new("sh")
        .args(["-c", "while :; do :; done"])
        .spawn()
        .expect("it runs");
    let idle = json(&meter(&tree, &["--json"], "sleep 0.5"));
    other.kill().expect("it was there");
    other.wait().expect("it ends");
    let asleep = idle["command"]["cpu_time_share"].as_f64().expect("a share");
    assert!(asleep < share, "a command that sleeps has less: {idle}");
}

#[test]
fn others_load_is_told_and_so_is_the_energy_at_rest() {
    let tree = Powercap::new(&[("intel-rapl:0", "package-0")]);
    let mut other = Command::new("sh")
        .args(["-c", "while :; do :; done"])
        .spawn()
        .expect("it runs");
    let reading = json(&meter(&tree, &["--json", "--idle-baseline-sec", "1"], "sleep 1"));
    other.kill().expect("it was there");
    other.wait().expect("it ends");
    let warnings = reading["warnings"].to_string();
    assert!(warnings.contains("foreign_cpu_load"), "{reading}");
    let rest = reading["idle"]["window"]["end_monotonic_sec"].as_f64().unwrap()
        - reading["idle"]["window"]["start_monotonic_sec"].as_f64().unwrap();
    assert!((1.0..1.5).contains(&rest), "{rest}");
    assert!(json(&meter(&tree, &["--json"], "true"))["idle"].is_null());
}
