//! Tests the content of complete answers in each server's dialect, and the metrics of servers.

use std::time::Duration;

use joulemark_openai::{Answer, Extras, FailureReason, Prompt, Request, ready, server_metrics, unique_prefix};
use joulemark_testkit::openai_emitter::{Dialect, Emitter, Speaker, page};

use crate::asking::{TIMEOUT, client, request};

const ALL: [Dialect; 5] = [
    Dialect::Vllm,
    Dialect::Sglang,
    Dialect::Tgi,
    Dialect::Ollama,
    Dialect::LlamaCpp,
];

fn quick(dialect: Dialect) -> Speaker {
    Speaker {
        before_first: Duration::ZERO,
        between: Duration::ZERO,
        natural_tokens: 6,
        ..Speaker::new(dialect)
    }
}

async fn ask(speaker: Speaker, request: &Request) -> Answer {
    let emitter = Emitter::speaking(speaker);
    client(&emitter).ask(request, TIMEOUT, |_| ()).await.expect("an answer")
}

#[tokio::test]
async fn every_server_gives_the_same_text_and_counts() {
    let mut texts = Vec::new();
    for dialect in ALL {
        for streaming in [true, false] {
            let mut speaker = quick(dialect);
            speaker.honours.streaming = streaming;
            let answer = ask(speaker, &request()).await;
            assert_eq!(
                (answer.input_tokens, answer.output_tokens),
                (Some(2), Some(4)),
                "{dialect:?}"
            );
            assert_eq!(
                (&*answer.finish_reason, answer.is_streamed),
                ("length", streaming),
                "{dialect:?}"
            );
            assert_eq!(answer.first_token_at.is_some(), streaming, "{dialect:?}");
            texts.push(answer.output_text_sha256);
        }
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
}

#[tokio::test]
async fn tokens_of_chunks_are_counted_where_the_server_does() {
    let mut counting = request();
    counting.extras.counts_in_chunks = true;
    for dialect in ALL {
        let answer = ask(quick(dialect), &counting).await;
        let counts = matches!(dialect, Dialect::Vllm | Dialect::LlamaCpp);
        assert_eq!(answer.is_one_token_a_chunk(), counts, "{dialect:?}");
        let chunks = if dialect == Dialect::Ollama { 2 } else { 4 };
        assert_eq!(answer.chunks.len(), chunks, "{dialect:?}");
        let timings = answer
            .server_timings
            .map(|timings| (timings.predicted_tokens, timings.prompt_tokens));
        assert_eq!(
            timings,
            (dialect == Dialect::LlamaCpp).then_some((Some(4), Some(2))),
            "{dialect:?}"
        );
    }
}

#[tokio::test]
async fn reasoning_comes_before_the_answer_and_counts_for_the_first_token() {
    let speaker = Speaker {
        between: Duration::from_millis(100),
        ..quick(Dialect::Sglang)
    };
    let answer = ask(speaker, &request()).await;
    let (ttft, first_answer) = (
        answer.ttft_sec().expect("a token"),
        answer.time_to_first_answer_sec().expect("a token"),
    );
    assert!(
        first_answer > ttft + 0.1,
        "two tokens are reasoning: {ttft} s, {first_answer} s"
    );
}

#[tokio::test]
async fn an_end_is_ignored_where_that_is_honoured() {
    for dialect in ALL {
        let mut longer = request();
        longer.max_tokens = 9;
        assert_eq!(ask(quick(dialect), &longer).await.finish_reason, "stop", "{dialect:?}");
        longer.extras.ignore_eos = true;
        let honours = quick(dialect).honours.ignore_eos;
        let answer = ask(quick(dialect), &longer).await;
        assert_eq!(answer.output_tokens, Some(if honours { 9 } else { 6 }), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_unique_prefix_avoids_the_prompt_cache_and_metrics_show_it() {
    let emitter = Emitter::speaking(quick(Dialect::Sglang));
    let client = client(&emitter);
    let before = server_metrics(&client, TIMEOUT).await.expect("it has metrics");
    let ask = async |text: String| {
        let asked = Request {
            prompt: Prompt::user(text),
            ..request()
        };
        client
            .ask(&asked, TIMEOUT, |_| ())
            .await
            .expect("an answer")
            .cached_tokens
    };
    for index in 0..3 {
        assert_eq!(ask(unique_prefix(1, index) + "Hello").await, Some(0));
    }
    assert_eq!(
        ask(unique_prefix(1, 0) + "Hello").await,
        Some(9),
        "a run that is repeated sends the same"
    );
    let window = server_metrics(&client, TIMEOUT)
        .await
        .expect("it has metrics")
        .since(before);
    assert_eq!(
        (window.prefix_cache_hits, window.prefix_cache_queries),
        (Some(9.0), Some(40.0))
    );
}

#[tokio::test]
async fn a_salt_avoids_vllms_prompt_cache() {
    let emitter = Emitter::speaking(quick(Dialect::Vllm));
    let client = client(&emitter);
    let ask = async |extras| {
        let asked = Request { extras, ..request() };
        client.ask(&asked, TIMEOUT, |_| ()).await.expect("an answer");
        server_metrics(&client, TIMEOUT)
            .await
            .expect("it has metrics")
            .prefix_cache_hits
    };
    assert_eq!(ask(Extras::default()).await, Some(0.0));
    let salted = Extras {
        no_prompt_cache: true,
        ..Extras::default()
    };
    assert_eq!(ask(salted).await, Some(0.0));
    assert_eq!(ask(salted).await, Some(0.0));
    assert_eq!(ask(Extras::default()).await, Some(1.0));
}

#[tokio::test]
async fn missing_metrics_are_an_error() {
    let emitter = Emitter::speaking(quick(Dialect::Ollama));
    let failure = server_metrics(&client(&emitter), TIMEOUT)
        .await
        .expect_err("it has none");
    assert_eq!(failure.reason, FailureReason::Status);
}

#[tokio::test]
async fn ready_waits_until_the_server_is_ready() {
    let emitter = Emitter::start(|asked| match asked.number {
        0 | 1 => page(
            "503 Service Unavailable",
            r#"{"error":{"message":"Loading model","code":503}}"#,
        ),
        _ => page("200 OK", ""),
    });
    ready(&client(&emitter), Some("/health"), TIMEOUT)
        .await
        .expect("it is ready in the end");
    let paths: Vec<_> = emitter.asked().iter().map(|asked| asked.path.clone()).collect();
    assert_eq!(paths, ["/health"; 3]);
    assert_eq!(emitter.connections(), 3);
}

#[tokio::test]
async fn a_server_that_is_never_ready_is_named_with_its_last_answer() {
    let emitter = Emitter::start(|_| page("503 Service Unavailable", r#"{"error":{"message":"Loading model"}}"#));
    let not_ready = ready(&client(&emitter), None, Duration::from_millis(300))
        .await
        .expect_err("it never is");
    let expected = "/v1/models was not answered with 200 within 0.3 s; last: 503 Loading model";
    assert_eq!(not_ready.to_string(), expected);
    let silent = Emitter::start(|_| vec![joulemark_testkit::openai_emitter::pause_ms(60_000)]);
    let not_ready = ready(&client(&silent), None, Duration::from_millis(50))
        .await
        .expect_err("it never is");
    assert_eq!(not_ready.last, "no answer within 0.05 s");
}
