use std::process::Command;

fn joulemark() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_joulemark"));
    for variable in ["JOULEMARK_DATABASE_URL", "DATABASE_URL", "JOULEMARK_CONFIG"] {
        command.env_remove(variable);
    }
    command
}

#[test]
fn config_prints_every_value_and_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("joulemark.toml");
    std::fs::write(&file, "max_attempts = 9\nlog = \"debug\"\n").unwrap();
    let output = joulemark()
        .args([
            "config",
            "--listen",
            "127.0.0.1:9999",
            "--config",
            file.to_str().unwrap(),
        ])
        .env("JOULEMARK_LOG", "trace")
        .env("DATABASE_URL", "postgres://lab:secret@db/jm")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "listen = \"127.0.0.1:9999\"  # flag --listen".to_owned(),
        format!("max_attempts = 9  # file {}", file.display()),
        "log = \"trace\"  # environment JOULEMARK_LOG".to_owned(),
        "database_url = \"postgres://lab:…@db/jm\"  # environment DATABASE_URL".to_owned(),
        "models_dir = \"./models\"  # default".to_owned(),
    ] {
        assert!(text.lines().any(|printed| printed == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn a_bad_option_is_refused_by_name() {
    for (arguments, expected) in [
        (
            vec!["config", "--sample-interval-ms", "1"],
            "sample_interval_ms is 1; accepted are 5 to 10000",
        ),
        (vec!["config", "--listen", "nowhere"], "listen"),
        (
            vec!["config", "--database-url", "mysql://x"],
            "database_url is invalid; accepted are sqlite://PATH and postgres://",
        ),
        (
            vec!["config", "--config", "/does/not/exist.toml"],
            "the configuration file /does/not/exist.toml cannot be read",
        ),
        (vec!["serve", "--log-format", "loud"], "log_format"),
    ] {
        let output = joulemark().args(&arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && errors.contains(expected),
            "{arguments:?}: {errors}"
        );
    }
}

#[test]
fn a_worker_started_by_hand_says_so_and_ends() {
    let output = joulemark()
        .args(["worker", "--engine", "synthetic", "--parent-pid", "1", "--cpus", "0"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("the server (pid 1) is gone"));
}
