use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::client_command::{Said, command, run, run_with_input, slow, submit, synthetic};
use crate::client_proxy::{Fate, Proxy};
use crate::server::Server;

/// Away from the thread on which a proxy runs.
async fn submitted(url: &str, arguments: &'static [&'static str], experiment: &Value) -> Said {
    let (url, text) = (url.to_owned(), experiment.to_string());
    spawn_blocking(move || run_with_input(&url, arguments, &text))
        .await
        .unwrap()
}

#[tokio::test]
async fn waiting_ends_with_the_results_or_with_why_there_are_none() {
    let server = Server::start();
    let said = run_with_input(
        &server.url,
        &["submit", "--wait", "-"],
        &synthetic("decode_ms=20").to_string(),
    )
    .ended(0);
    let lines = said.lines();
    assert_eq!((lines.len(), &lines[0]["inference"]["output_tokens"]), (1, &json!(16)));
    // It may have left the queue before it is watched.
    for part in ["submitted ", " s  measuring", " s  completed"] {
        assert!(said.errors.contains(part), "{part} is not in:\n{}", said.errors);
    }
    let said = run_with_input(
        &server.url,
        &["submit", "--wait", "--table", "-"],
        &synthetic("").to_string(),
    )
    .ended(0);
    assert!(
        said.out.contains("tokens_per_second") && said.errors.contains("joulemark results "),
        "{}",
        said.out
    );
    let said = run_with_input(
        &server.url,
        &["submit", "--wait", "-"],
        &synthetic("error_at=0").to_string(),
    )
    .ended(1);
    assert_eq!(said.lines()[0]["failure"]["reason"], "worker_error");
    let said = run_with_input(
        &server.url,
        &["submit", "--wait", "-q", "-"],
        &synthetic("").to_string(),
    )
    .ended(0);
    assert_eq!((said.out.lines().count(), said.errors.as_str()), (1, ""));
}

/// The experiment that is measured, once there is one.
async fn measuring(server: &Server) -> String {
    loop {
        let listed = server.get("/v1/experiments?state=measuring").await.1;
        if let Some(id) = listed["items"][0]["id"].as_str() {
            return id.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn waiting_for_one_that_is_cancelled_prints_the_cycles_that_it_finished() {
    let server = Server::start();
    let wait = |form: &'static str, experiment: &Value| {
        let (url, text) = (server.url.clone(), experiment.to_string());
        spawn_blocking(move || run_with_input(&url, &["submit", "--wait", form, "-"], &text))
    };
    let mut experiment = synthetic("decode_ms=60");
    experiment["num_cycles"] = json!(50);
    for form in ["--json", "--table"] {
        let waiting = wait(form, &experiment);
        let id = measuring(&server).await;
        server.until(&id, |shown| shown["progress"]["cycle"] == 1).await;
        server.cancel(&id).await;
        let said = waiting.await.unwrap().ended(4);
        assert_eq!(said.out, run(&server.url, &["results", form, &id]).ended(0).out);
    }
    // Of one that finished no cycle there is only how it ended.
    let waiting = wait("--json", &slow());
    server.cancel(&measuring(&server).await).await;
    assert_eq!(waiting.await.unwrap().ended(4).lines()[0]["state"], "cancelled");
}

#[tokio::test]
async fn watching_prints_a_document_for_each_change_and_ends_as_the_experiment_does() {
    let server = Server::start();
    let id = submit(&server.url, &slow());
    let watching = {
        let (url, id) = (server.url.clone(), id.clone());
        spawn_blocking(move || run(&url, &["status", "--watch", &id]))
    };
    server.until_state(&id, "measuring").await;
    server.cancel(&id).await;
    let said = watching.await.unwrap().ended(4);
    let lines = said.lines();
    let states: Vec<_> = lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert!(states.ends_with(&["cancelled"]), "{states:?}");
    assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "{states:?}");
    assert!(
        lines
            .iter()
            .all(|line| line["id"] == id.as_str() && line["model_name"].is_string())
    );
}

#[tokio::test]
async fn an_interrupt_and_a_time_out_end_the_waiting_and_not_the_experiment() {
    let server = Server::start();
    let id = submit(&server.url, &slow());
    let said = run(&server.url, &["status", "--watch", &id, "--timeout-sec", "1"]).ended(5);
    assert!(
        said.errors.contains("the experiment goes on") && said.errors.contains(&id),
        "{}",
        said.errors
    );
    let mut waiting = command(&server.url, &["status", "--watch", &id]);
    let mut child = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    // What it says first of the states, it says once it watches.
    let mut said = String::new();
    errors.read_line(&mut said).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    errors.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains(&format!("joulemark cancel {id}")), "{said}");
    let state = server.show(&id).await["state"].clone();
    assert!(
        ["queued", "starting", "warming_up", "measuring"]
            .iter()
            .any(|good| state == *good),
        "{state}"
    );
    server.cancel(&id).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_said_to_be_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let said = run(&format!("http://{free}"), &["list", "--timeout-sec", "60"]).ended(3);
    assert!(
        said.errors.contains("cannot be reached") && said.errors.contains("--server"),
        "{}",
        said.errors
    );
    let said = run("gpubox:8080", &["list"]).ended(2);
    assert!(said.errors.contains("accepted is http://HOST"), "{}", said.errors);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_whose_answer_is_lost_is_sent_again_and_is_there_once() {
    let server = Server::start();
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
    let proxy = Proxy::before(&server.url, "", move |number, _| match number {
        0 => Fate::Answer(busy.to_owned()),
        1 => Fate::LoseAnswer,
        _ => Fate::Pass,
    });
    let proxy = proxy.await;
    let said = submitted(&proxy.url, &["submit", "-"], &synthetic("")).await.ended(0);
    let keys: Vec<_> = proxy
        .heads()
        .iter()
        .filter_map(|head| {
            head.lines()
                .find(|line| line.to_lowercase().starts_with("idempotency-key:"))
                .map(str::to_owned)
        })
        .collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert!(said.errors.contains("retrying in "), "{}", said.errors);
    let (_, page) = server.get("/v1/experiments").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page:#}");
    assert_eq!(page["items"][0]["id"], said.lines()[0]["id"]);
    let said = submitted(&proxy.url, &["submit", "-"], &synthetic("")).await.ended(0);
    assert!(
        !proxy.heads()[3].contains(keys[0].as_str()),
        "another submission has another key: {}",
        said.out
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patience_ends_with_the_servers_own_words() {
    let server = Server::start();
    let body = json!({"title": "The queue is full", "status": 503, "detail": "7 wait already", "retry_after_sec": 60})
        .to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let proxy = Proxy::before(&server.url, "", move |_, _| Fate::Answer(answer.clone())).await;
    let said = submitted(&proxy.url, &["submit", "--retry-sec", "5", "-"], &synthetic(""))
        .await
        .ended(3);
    assert!(
        said.errors.contains("The queue is full") && said.errors.contains("7 wait already"),
        "{}",
        said.errors
    );
    assert_eq!(proxy.heads().len(), 1, "a minute is longer than its patience");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_off_is_resumed_where_it_was() {
    let server = Server::start();
    let proxy = Proxy::before(&server.url, "/lab/jm", |_, head| {
        if head.contains("/events") {
            Fate::CutAfter("\ndata:")
        } else {
            Fate::Pass
        }
    });
    let proxy = proxy.await;
    let said = submitted(&proxy.url, &["submit", "--wait", "-"], &synthetic("decode_ms=100"))
        .await
        .ended(0);
    assert_eq!(said.lines().len(), 1);
    assert_eq!(said.errors.matches(" s  completed").count(), 1, "{}", said.errors);
    assert_eq!(said.errors.matches(" s  measuring").count(), 1, "{}", said.errors);
    let heads = proxy.heads();
    assert!(
        heads.iter().all(|head| head.contains(" /lab/jm/v1/")),
        "the prefix is kept"
    );
    let resumed = heads
        .iter()
        .filter(|head| head.to_lowercase().contains("last-event-id: "))
        .count();
    assert!(resumed >= 2, "{heads:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_stream_comes_through_it_asks_again_and_again() {
    let server = Server::start();
    let proxy = Proxy::before(&server.url, "", |_, head| {
        if head.contains("/events") {
            Fate::Swallow
        } else {
            Fate::Pass
        }
    });
    let proxy = proxy.await;
    let said = submitted(&proxy.url, &["submit", "--wait", "-"], &synthetic("decode_ms=500"))
        .await
        .ended(0);
    assert!(said.errors.contains(" s  completed"), "{}", said.errors);
    assert!(
        proxy.heads().iter().any(|head| head.contains("?wait=")),
        "{:#?}",
        proxy.heads()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_breaks_off_leaves_no_file() {
    let server = Server::start();
    let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nid,a\r\n";
    let proxy = Proxy::before(&server.url, "", move |_, _| Fate::Answer(broken.to_owned())).await;
    let file = server.folder.join("broken").join("a.csv");
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    let (url, path) = (proxy.url.clone(), file.display().to_string());
    let said = spawn_blocking(move || run(&url, &["export", "-o", &path]))
        .await
        .unwrap()
        .ended(3);
    assert!(said.errors.contains("broke off"), "{}", said.errors);
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_and_a_strangers_answer_are_told_from_the_servers() {
    let server = Server::start();
    for (answer, code, part) in [
        (
            "HTTP/1.1 301 Moved\r\nLocation: https://lab/jm/\r\nContent-Length: 0\r\n\r\n",
            3,
            "https://lab/jm/",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            3,
            "not a joulemark server",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n<h1>404</h1>",
            2,
            "missing in --server",
        ),
    ] {
        let proxy = Proxy::before(&server.url, "", move |_, _| Fate::Answer(answer.to_owned())).await;
        let url = proxy.url.clone();
        let said = spawn_blocking(move || run(&url, &["list", "--retry-sec", "0"]))
            .await
            .unwrap()
            .ended(code);
        assert!(said.errors.contains(part), "{part} is not in: {}", said.errors);
    }
}
