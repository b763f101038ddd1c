use serde_json::{Value, json};

use super::{Answering, free_port};
use crate::meter_command::joulemark;

#[test]
fn doctor_says_of_each_engine_whether_it_starts_or_answers_and_where_its_processes_are() {
    let answering = Answering::start(&["1"], &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("joulemark.toml");
    let dead = free_port();
    let engines = format!(
        "[engines.gone]\nkind = 'openai'\nendpoint = 'http://127.0.0.1:{dead}'\n\
         [engines.missing]\nkind = 'openai'\ncommand = ['no-such-program-here', '{{port}}']\n\
         [engines.running]\nkind = 'openai'\nendpoint = '{}'\nsystemd_unit = 'no-such-unit'\n\
         [engines.started]\nkind = 'openai'\ncommand = ['sh', '{{port}}']\n",
        answering.endpoint()
    );
    std::fs::write(&config, engines).expect("a file");
    let output = joulemark("doctor", folder.path(), &folder.path().join("none"))
        .args(["--json", "--config"])
        .arg(&config)
        .output()
        .expect("it runs");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let expected = [
        ("gone", false, "does not list its models"),
        ("missing", false, "there is no executable no-such-program-here"),
        (
            "running",
            true,
            "serves nothing; its processes are those of the listener",
        ),
        ("started", true, "/sh for each experiment"),
    ];
    let servers = found["servers"].as_array().expect("a list");
    assert_eq!(servers.len(), expected.len(), "{found:#}");
    for (server, (name, works, detail)) in servers.iter().zip(expected) {
        assert_eq!((&server["name"], &server["works"]), (&json!(name), &json!(works)));
        assert!(
            server["detail"].as_str().is_some_and(|said| said.contains(detail)),
            "{server:#}"
        );
    }
}
