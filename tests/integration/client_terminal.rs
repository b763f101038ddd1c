use std::process::{Command, Stdio};

use crate::client_command::{Said, run, submit, synthetic};
use crate::installed;
use crate::server::Server;

/// On a terminal of its own, which `script` makes; standard output and error are one there.
fn on_a_terminal(server: &str, arguments: &str, no_color: Option<&str>) -> Said {
    let mut command = Command::new("script");
    let line = format!("stty cols 120; {} {arguments}", env!("CARGO_BIN_EXE_joulemark"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command
        .env("JOULEMARK_SERVER", server)
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh");
    command
        .env_remove("NO_COLOR")
        .envs(no_color.map(|value| ("NO_COLOR", value)));
    Said::of(
        command
            .stdin(Stdio::null())
            .output()
            .expect("script, of bsdutils, is there"),
    )
}

#[tokio::test]
async fn waiting_on_a_terminal_draws_a_bar_with_rate_and_time_left() {
    let server = Server::start();
    let file = server.folder.join("a.json");
    std::fs::write(&file, synthetic("decode_ms=400").to_string()).unwrap();
    let said = on_a_terminal(&server.url, &format!("submit --wait {}", file.display()), None).ended(0);
    for part in [
        "measuring [",
        "cycle 2 of 2",
        " tokens/s",
        "ETA ",
        "completed",
        "tokens_per_second",
    ] {
        assert!(said.out.contains(part), "{part:?} is not in:\n{:?}", said.out);
    }
    assert!(!said.out.contains("{\""), "no JSON: {:?}", said.out);
}

#[tokio::test]
async fn a_terminal_gets_tables_and_colours_and_no_parquet() {
    let server = Server::start();
    let id = submit(&server.url, &synthetic(""));
    server.until_state(&id, "completed").await;
    let coloured = on_a_terminal(&server.url, "list", None).ended(0).out;
    assert!(
        coloured.starts_with("ID ") && coloured.contains("\u{1b}[32mcompleted"),
        "{coloured:?}"
    );
    let plain = on_a_terminal(&server.url, "list", Some("1")).ended(0).out;
    assert!(
        plain.contains("completed") && !plain.contains("\u{1b}[32m"),
        "{plain:?}"
    );
    let json = on_a_terminal(&server.url, &format!("results {id} --json"), None)
        .ended(0)
        .out;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["id"],
        id.as_str()
    );
    let said = on_a_terminal(&server.url, "export --format parquet", None).ended(2);
    assert!(said.out.contains("--output FILE"), "{}", said.out);
}

#[test]
fn completions_load_and_know_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = run("", &["completions", shell]).ended(0);
        assert!(said.out.contains("submit") && said.out.contains("cacert"), "{shell}");
        assert!(!said.out.contains("parent-pid"), "{shell} offers what is hidden");
    }
    let script = "source <(\"$0\" completions bash) && complete -p joulemark && \
                  COMP_WORDS=(joulemark sub) COMP_CWORD=1 && _joulemark joulemark sub joulemark; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_joulemark")])
        .output()
        .unwrap();
    let said = Said::of(output).ended(0);
    assert!(
        said.out.contains("-F _joulemark") && said.out.trim_end().ends_with("submit"),
        "{}\n{}",
        said.out,
        said.errors
    );
}

#[test]
fn there_is_a_manual_page_for_each_subcommand_and_groff_has_nothing_to_say() {
    let folder = tempfile::tempdir().unwrap();
    run("", &["man", "--dir", folder.path().to_str().unwrap()]).ended(0);
    for name in [
        "joulemark",
        "joulemark-submit",
        "joulemark-export",
        "joulemark-label",
        "joulemark-serve",
        "joulemark-key-create",
    ] {
        let path = folder.path().join(format!("{name}.1"));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".TH joulemark"), "{name}");
        // `man` tells groff the encoding likewise.
        let mut groff = installed("groff", "groff-base");
        let output = groff
            .args(["-Kutf8", "-man", "-Tutf8", "-ww", "-z"])
            .arg(&path)
            .output();
        let said = output.expect("groff runs").stderr;
        assert_eq!(String::from_utf8_lossy(&said), "", "{name}");
    }
    assert!(!folder.path().join("joulemark-worker.1").exists());
    let submit = std::fs::read_to_string(folder.path().join("joulemark-submit.1")).unwrap();
    assert!(submit.contains("the experiment was cancelled"), "exit codes are in it");
}
