use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// Creates an engine program that runs `script`, and returns a finder for its folder.
fn engine(folder: &Path, script: &str) -> Engines {
    program(folder, "joulemark-mistral", script);
    Engines::in_folders(vec![folder.to_owned()])
}

/// Creates a program that runs `script`.
fn program(folder: &Path, name: &str, script: &str) {
    let program = folder.join(name);
    // Removed first: a running program cannot be overwritten, and a new file has another identity.
    let _ = std::fs::remove_file(&program);
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn says(protocol_version: u32, features: &str) -> String {
    format!(
        r#"echo '{{"name": "mistral", "version": "0.1.0", "engine_version": "0.8.1", "features": [{features}],
        "compiled_cpu_features": ["avx2"], "protocol_version": {protocol_version}}}'; echo asked >>"$0.asked""#
    )
}

#[test]
fn an_engine_is_asked_once_and_again_when_its_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let engines = engine(folder.path(), &says(protocol::VERSION, ""));
    for _ in 0..3 {
        assert_eq!(engines.find(MISTRAL).unwrap().offer.engine_version, "0.8.1");
    }
    let asked = || std::fs::read_to_string(folder.path().join("joulemark-mistral.asked")).unwrap();
    assert_eq!(asked().lines().count(), 1);
    engine(folder.path(), &says(protocol::VERSION, "\"cuda\""));
    assert_eq!(engines.find(MISTRAL).unwrap().offer.features, ["cuda"]);
    assert_eq!(asked().lines().count(), 2);
}

#[test]
fn an_engine_of_another_protocol_is_not_offered_and_a_restart_is_proposed() {
    let folder = tempfile::tempdir().unwrap();
    let engines = engine(folder.path(), &says(protocol::VERSION + 1, ""));
    let problem = engines.find(MISTRAL).unwrap_err().to_string();
    assert!(problem.contains("restart the service"), "{problem}");
    assert!(engines.look().offered.is_empty());
}

#[test]
fn the_message_about_a_missing_engine_names_the_searched_folders() {
    let folder = tempfile::tempdir().unwrap();
    let engines = Engines::in_folders(vec![folder.path().to_owned()]);
    let problem = engines.find(MISTRAL).unwrap_err().to_string();
    assert!(problem.contains(&folder.path().display().to_string()), "{problem}");
    assert!(problem.contains("cargo build --release"), "{problem}");
}

#[test]
fn a_message_for_clients_names_no_folder_and_no_program_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Engines::in_folders(vec![folder.path().to_owned()]);
    let silent = [
        missing,
        engine(folder.path(), "echo cannot open /srv/secret/lib.so"),
        engine(folder.path(), &says(protocol::VERSION + 1, "")),
    ]
    .map(|engines| engines.find(MISTRAL));
    for problem in silent {
        let said = problem.unwrap_err().for_clients();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        for inner in [name, "/srv", "joulemark-mistral", "--describe"] {
            assert!(!said.contains(inner), "{inner}: {said}");
        }
        assert!(said.starts_with("the engine \"mistral\" "), "{said}");
    }
}

#[test]
fn an_engine_that_hangs_or_fails_or_prints_no_description_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    for (script, reason) in [
        ("sleep 60", "did not answer within"),
        ("exit 3", "exit status: 3"),
        ("echo hello", "answered with"),
        ("sleep 60 & exec >/dev/null; wait", "did not answer within"),
        (
            r#"echo '{"name": "other", "version": "1", "engine_version": "1", "features": [],
          "compiled_cpu_features": [], "protocol_version": 1}'"#,
            "says that it is",
        ),
    ] {
        let mut engines = engine(folder.path(), script);
        Arc::get_mut(&mut engines.0).unwrap().timeout = Duration::from_millis(500);
        let problem = engines.find(MISTRAL).unwrap_err().to_string();
        assert!(problem.contains(reason), "{script}: {problem}");
    }
}

/// Returns a script that fails as the dynamic loader does when a library is missing.
fn lacks(library: &str) -> String {
    format!(
        "echo \"$0: error while loading shared libraries: {library}: cannot open shared object file: No such file or \
         directory\" >&2; exit 127"
    )
}

fn board(capability: &str) -> [Option<ComputeCapability>; 1] {
    [Some(capability.parse().unwrap())]
}

fn name_of(found: &FoundEngine) -> &str {
    found.program.file_name().and_then(|name| name.to_str()).unwrap()
}

#[test]
fn a_board_gets_the_program_built_for_the_latest_capability_of_its_generation() {
    let folder = tempfile::tempdir().unwrap();
    let engines = engine(folder.path(), &says(protocol::VERSION, ""));
    for name in ["sm80", "sm86", "sm90"] {
        program(
            folder.path(),
            &format!("joulemark-mistral-{name}"),
            &says(protocol::VERSION, "\"cuda\""),
        );
    }
    for (capability, name) in [("8.0", "sm80"), ("8.6", "sm86"), ("8.9", "sm86"), ("9.0", "sm90")] {
        let found = engines.find_for_gpus(MISTRAL, &board(capability)).unwrap();
        assert_eq!(name_of(&found), format!("joulemark-mistral-{name}"), "{capability}");
    }
    assert_eq!(name_of(&engines.find(MISTRAL).unwrap()), "joulemark-mistral");
    for (capability, command) in [
        ("7.5", "build-cuda.sh 75`"),
        ("10.0", "build-cuda.sh 100`"),
        ("12.0", "build-cuda.sh 120`"),
    ] {
        let problem = engines.find_for_gpus(MISTRAL, &board(capability)).unwrap_err();
        for said in [problem.to_string(), problem.for_clients()] {
            assert!(
                said.contains(capability) && said.contains(command) && said.contains("8.0, 8.6, 9.0"),
                "{said}"
            );
        }
    }
    let both = [board("8.0")[0], board("8.9")[0]];
    assert_eq!(
        name_of(&engines.find_for_gpus(MISTRAL, &both).unwrap()),
        "joulemark-mistral-sm80"
    );
    let mixed = [board("8.0")[0], board("9.0")[0]];
    let problem = engines.find_for_gpus(MISTRAL, &mixed).unwrap_err().to_string();
    assert!(problem.contains("8.0, 9.0 at once"), "{problem}");
    let offered = engines.look().offered.into_iter().map(|offer| offer.compute_capability);
    let expected = [None, board("8.0")[0], board("8.6")[0], board("9.0")[0]];
    assert_eq!(offered.collect::<Vec<_>>(), expected);
}

#[test]
fn a_program_without_a_driver_or_a_cuda_library_says_so_and_the_others_still_work() {
    let folder = tempfile::tempdir().unwrap();
    let engines = engine(folder.path(), &says(protocol::VERSION, ""));
    program(folder.path(), "joulemark-mistral-sm80", &lacks("libcublas.so.13"));
    program(folder.path(), "joulemark-mistral-sm90", &lacks("libcuda.so.1"));
    for (capability, words) in [
        ("8.6", "needs libcublas.so.13 of CUDA"),
        ("9.0", "finds no NVIDIA driver"),
    ] {
        let problem = engines.find_for_gpus(MISTRAL, &board(capability)).unwrap_err();
        for said in [problem.to_string(), problem.for_clients()] {
            assert!(said.contains(words), "{said}");
        }
        assert!(
            !problem.for_clients().contains(folder.path().to_str().unwrap()),
            "{problem}"
        );
    }
    let look = engines.look();
    assert_eq!((look.offered.len(), look.problems.len()), (1, 2));
    assert!(engines.find(MISTRAL).is_ok());
}

#[test]
fn the_last_output_of_a_failed_program_is_only_for_the_admin() {
    let folder = tempfile::tempdir().unwrap();
    let script = "head -c 200000 /dev/zero >&2; echo >&2; echo version GLIBC_2.38 not found >&2; exit 1";
    let problem = engine(folder.path(), script).find(MISTRAL).unwrap_err();
    assert!(
        problem
            .to_string()
            .ends_with("exit status: 1: \"version GLIBC_2.38 not found\""),
        "{problem}"
    );
    assert!(
        problem.for_clients().ends_with("exit status: 1"),
        "{}",
        problem.for_clients()
    );
}

#[test]
fn a_program_that_does_not_match_its_name_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    let engines = engine(folder.path(), &says(protocol::VERSION, ""));
    let other =
        says(protocol::VERSION, "\"cuda\"").replace("\"features\"", "\"compute_capability\": \"9.0\", \"features\"");
    for (script, words) in [
        (says(protocol::VERSION, ""), "for the CPU only"),
        (other, "for compute capability 9.0"),
    ] {
        program(folder.path(), "joulemark-mistral-sm80", &script);
        let problem = engines.find_for_gpus(MISTRAL, &board("8.0")).unwrap_err().to_string();
        assert!(problem.contains(words), "{problem}");
        assert_eq!(engines.look().offered.len(), 1);
    }
}

#[test]
fn a_program_without_a_capability_in_its_name_computes_on_boards_of_the_reported_one() {
    let folder = tempfile::tempdir().unwrap();
    let said =
        says(protocol::VERSION, "\"cuda\"").replace("\"features\"", "\"compute_capability\": \"9.0\", \"features\"");
    let engines = engine(folder.path(), &said);
    assert_eq!(
        name_of(&engines.find_for_gpus(MISTRAL, &board("9.0")).unwrap()),
        "joulemark-mistral"
    );
    assert!(engines.find_for_gpus(MISTRAL, &board("8.0")).is_err());
}
