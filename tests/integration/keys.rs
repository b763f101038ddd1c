use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::guarded::Guarded;

fn quick() -> Value {
    json!({"model_name": "synthetic:", "prompts": ["my secret prompt"], "max_output_tokens": 2, "num_cycles": 1,
           "warmup_iterations": 0, "idle_baseline_sec": 0})
}

fn slow() -> Value {
    json!({"model_name": "synthetic:decode_ms=5000", "prompts": ["my secret prompt"], "max_output_tokens": 4})
}

/// `{id}` stands for an experiment that there is not.
fn concrete(path: &str) -> String {
    path.replace("{id}", "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11")
        .replace("{name}", "nobody")
}

/// Every operation of the API's description, so that one added later is tested without a line here.
#[tokio::test]
async fn every_operation_asks_for_a_key_and_for_the_role_it_states() {
    let guarded = Guarded::start(&[]);
    let keys = ["reader", "submitter", "admin"].map(|role| (role, guarded.key(role, role)));
    let (_, document) = guarded.server.get("/openapi.json").await;
    let mut seen = [0; 4];
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let asked = concrete(path);
            let url = format!("{}{asked}", guarded.server.url);
            let bare = reqwest::Client::new()
                .request(method.clone(), url)
                .send()
                .await
                .unwrap();
            if operation["security"] == json!([]) {
                assert_eq!(bare.status(), StatusCode::OK, "{method} {path}");
                seen[3] += 1;
                continue;
            }
            assert_eq!(bare.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(bare.headers()["content-type"], "application/problem+json");
            assert_eq!(bare.headers()["www-authenticate"], "Bearer realm=\"joulemark\"");
            let session = match method {
                Method::GET => json!({"session": []}),
                _ => json!({"session": [], "csrfToken": []}),
            };
            assert_eq!(
                operation["security"],
                json!([{"apiKey": []}, session]),
                "{method} {path}"
            );
            for status in ["401", "403", "429"] {
                assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
            }
            let description = operation["description"].as_str().unwrap();
            let needed = keys
                .iter()
                .position(|(role, _)| description.contains(&format!("role `{role}`")))
                .unwrap();
            seen[needed] += 1;
            for (place, (role, key)) in keys.iter().enumerate() {
                let status = guarded.send(method.clone(), &asked, key, None).await.status();
                let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
                assert_eq!(refused, place < needed, "{method} {path} as {role}: {status}");
            }
        }
    }
    assert!(
        seen.iter().all(|count| *count > 0),
        "of each kind at least one: {seen:?}"
    );
}

#[tokio::test]
async fn a_key_is_shown_once_and_ends_when_it_expires_or_is_revoked() {
    let guarded = Guarded::start(&[]);
    let (good, key, said) = guarded.key_command(&["create", "--name", "ada", "--role", "reader", "--expires", "2s"]);
    assert!(good && said.contains("reader \"ada\", until "), "{said}");
    let dump = std::fs::read(guarded.server.folder.join("joulemark.db-wal")).unwrap_or_default();
    let dump = [dump, std::fs::read(guarded.server.folder.join("joulemark.db")).unwrap()].concat();
    let secret = key.rsplit('_').next().unwrap();
    assert!(
        !dump.windows(secret.len()).any(|part| part == secret.as_bytes()),
        "the secret is stored"
    );
    let id = key.split('_').nth(1).unwrap();
    assert!(
        dump.windows(id.len()).any(|part| part == id.as_bytes()),
        "the id is not, so what was looked through?"
    );
    let mut status;
    loop {
        let response = guarded.send(Method::GET, "/v1/devices", &key, None).await;
        status = response.status();
        if status != StatusCode::OK {
            let challenge = response.headers()["www-authenticate"].to_str().unwrap().to_owned();
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
            let problem: Value = response.json().await.unwrap();
            assert!(problem["detail"].as_str().unwrap().contains("expired at"), "{problem}");
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let key = guarded.key("bob", "reader");
    let id = key.split('_').nth(1).unwrap();
    assert_eq!(guarded.get("/v1/devices", &key).await.0, StatusCode::OK);
    assert!(guarded.key_command(&["revoke", id]).0);
    let (status, problem) = guarded.get("/v1/devices", &key).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(problem["detail"].as_str().unwrap().contains("was revoked"), "{problem}");
    let (good, _, errors) = guarded.key_command(&["revoke", "0123456789abcdef"]);
    assert!(!good && errors.contains("there is no key 0123456789abcdef"), "{errors}");
}

#[tokio::test]
async fn when_a_key_was_used_last_is_written_once_for_many_requests() {
    let mut guarded = Guarded::start(&[]);
    let key = guarded.key("ada", "reader");
    guarded.key("bob", "reader");
    for _ in 0..20 {
        assert_eq!(guarded.get("/v1/devices", &key).await.0, StatusCode::OK);
    }
    let listed = |guarded: &Guarded| -> Value {
        let (good, json, errors) = guarded.key_command(&["list", "--json"]);
        assert!(good, "{errors}");
        serde_json::from_str(&json).unwrap()
    };
    assert_eq!(listed(&guarded)[0]["last_used_at"], json!(null), "no request wrote");
    guarded.server.stop();
    let keys = listed(&guarded);
    assert!(keys[0]["last_used_at"].is_string(), "{keys:#}");
    assert_eq!(keys[1]["last_used_at"], json!(null), "{keys:#}");
    let (_, table, _) = guarded.key_command(&["list"]);
    assert!(
        table.contains("NAME") && table.contains("ada") && table.contains("never"),
        "{table}"
    );
    assert!(!table.contains(key.rsplit('_').next().unwrap()));
}

#[tokio::test]
async fn prompts_are_their_submitters_in_every_answer_that_has_a_spec() {
    let guarded = Guarded::start(&[]);
    let (ada, bob, root) = (
        guarded.key("ada", "submitter"),
        guarded.key("bob", "reader"),
        guarded.key("root", "admin"),
    );
    let id = guarded.accepted(&ada, &quick()).await;
    let path = format!("/v1/experiments/{id}");
    loop {
        if guarded.get(&path, &bob).await.1["state"] == "completed" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for asked in [path.clone(), format!("{path}/results"), "/v1/experiments".to_owned()] {
        for (key, whole) in [(&ada, true), (&bob, false), (&root, true)] {
            let (status, body) = guarded.get(&asked, key).await;
            assert_eq!(status, StatusCode::OK, "{body:#}");
            assert_eq!(
                body.to_string().contains("my secret prompt"),
                whole,
                "{asked}: {body:#}"
            );
            assert_eq!(body.to_string().contains("\"prompts_withheld\":1"), !whole, "{asked}");
        }
    }
    assert_eq!(guarded.get(&path, &bob).await.1["submitter"], "ada");
    let second_of_ada = guarded.key("ada", "reader");
    let (_, body) = guarded.get(&path, &second_of_ada).await;
    assert_eq!(
        body["prompts"],
        json!(["my secret prompt"]),
        "the name decides, not the key"
    );

    let sharing = Guarded::start(&["--share-prompts"]);
    let (ada, bob) = (sharing.key("ada", "submitter"), sharing.key("bob", "reader"));
    let id = sharing.accepted(&ada, &quick()).await;
    let (_, body) = sharing.get(&format!("/v1/experiments/{id}"), &bob).await;
    assert_eq!(body["prompts"], json!(["my secret prompt"]));
}

#[tokio::test]
async fn one_cancels_ones_own_an_admin_anybodys_and_the_log_says_who_did() {
    let guarded = Guarded::start(&[]);
    let (ada, bob, root) = (
        guarded.key("ada", "submitter"),
        guarded.key("bob", "submitter"),
        guarded.key("root", "admin"),
    );
    let (first, second) = (
        guarded.accepted(&ada, &slow()).await,
        guarded.accepted(&ada, &slow()).await,
    );
    let (status, problem) = guarded.cancel(&bob, &first).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(problem["type"].as_str().unwrap().ends_with(":not-yours"), "{problem}");
    assert_eq!(guarded.cancel(&ada, &first).await.0, StatusCode::OK);
    assert_eq!(guarded.cancel(&root, &second).await.0, StatusCode::OK);
    assert_eq!(
        guarded.cancel(&root, &second).await.0,
        StatusCode::OK,
        "twice is fine, and one line in the log"
    );
    let (status, log) = guarded.get("/v1/audit?limit=4", &root).await;
    assert_eq!(status, StatusCode::OK, "{log:#}");
    let lines: Vec<_> = log["items"].as_array().unwrap().iter().collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (&line["action"], &line["name"], &line["subject"]))
        .collect();
    let (submit, cancel) = (json!("submit"), json!("cancel"));
    let (ada_name, root_name, first, second) = (json!("ada"), json!("root"), json!(first), json!(second));
    assert_eq!(
        told,
        [
            (&cancel, &root_name, &second),
            (&cancel, &ada_name, &first),
            (&submit, &ada_name, &second),
            (&submit, &ada_name, &first),
        ]
    );
    assert_eq!(lines[1]["key_id"], ada.split('_').nth(1).unwrap());
    assert_eq!(lines[1]["address"], "127.0.0.1");
    let older = format!("/v1/audit?cursor={}", log["next_cursor"].as_str().unwrap());
    let (_, rest) = guarded.get(&older, &root).await;
    let rest = rest["items"].as_array().unwrap();
    assert_eq!(rest.len(), 3, "three keys were made: {rest:#?}");
    assert!(
        rest.iter()
            .all(|line| line["action"] == "create_key" && line["address"].is_null())
    );
}

#[test]
fn what_cannot_be_a_key_is_refused_on_the_command_line() {
    let guarded = Guarded::start(&[]);
    for (arguments, expected) in [
        (vec!["create", "--name", "", "--role", "admin"], "--name is \"\""),
        (vec!["create", "--name", "a\nb", "--role", "admin"], "--name is"),
        (
            vec!["create", "--name", "a", "--role", "root"],
            "accepted are reader, submitter and admin",
        ),
        (
            vec!["create", "--name", "a", "--role", "admin", "--expires", "1999-01-01"],
            "is in the past",
        ),
        (vec!["revoke", "jm_x"], "is not the id of an API key"),
    ] {
        let (good, output, errors) = guarded.key_command(&arguments);
        assert!(
            !good && output.is_empty() && errors.contains(expected),
            "{arguments:?}: {errors}"
        );
    }
}

#[test]
fn listing_or_revoking_keys_makes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("none.db").display());
    for arguments in [&["list"][..], &["revoke", "0123456789abcdef"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_joulemark"))
            .arg("key")
            .args(arguments)
            .args(["--database-url", &url])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains("none.db does not exist"),
            "{arguments:?}: {said}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
