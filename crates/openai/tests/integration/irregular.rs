use std::time::Duration;

use joulemark_openai::{Answer, Failure, FailureReason};
use joulemark_testkit::openai_emitter::{
    Emitter, Step, chunked, chunked_end, chunked_head, event, page, pause_ms, stream_head, text, write,
};

use crate::asking::{TIMEOUT, client, request};

const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;

async fn ask(steps: Vec<Step>) -> Result<Answer, Failure> {
    let emitter = Emitter::start(move |_| steps.clone());
    let asked = client(&emitter).ask(&request(), TIMEOUT, |_| ()).await;
    assert_eq!(emitter.asked().len(), 1, "nothing is sent twice");
    asked
}

fn counts(answer: &Answer) -> (Option<u32>, Option<u32>) {
    (answer.input_tokens, answer.output_tokens)
}

async fn reason(steps: Vec<Step>) -> (FailureReason, String) {
    let failure = ask(steps).await.expect_err("it fails");
    (failure.reason, failure.to_string())
}

#[tokio::test]
async fn vllm_counts_in_every_chunk_and_ends_with_usage_without_choices() {
    let counted = |text: &str, tokens: u32| {
        chunked(event(&format!(
            r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}],"usage":{{"prompt_tokens":7,"completion_tokens":{tokens}}}}}"#
        )))
    };
    let role = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":{"prompt_tokens":7,"completion_tokens":0}}"#;
    let end = r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"length"}],"usage":null}"#;
    let answer = ask(vec![
        chunked_head(),
        chunked(event(role)),
        counted("a", 1),
        counted("b", 2),
        chunked(event(end)),
        chunked(event(USAGE)),
        chunked(event("[DONE]")),
        chunked_end(),
    ]);
    let answer = answer.await.expect("an answer");
    assert_eq!(counts(&answer), (Some(7), Some(2)));
    assert_eq!(answer.finish_reason, "length");
    assert!(answer.is_one_token_a_chunk());
}

#[tokio::test]
async fn sglang_and_deepseek_reason_before_they_answer() {
    let thought = event(r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#);
    let steps = vec![
        stream_head(),
        write(thought),
        pause_ms(200),
        write(text("a")),
        write(event(USAGE)),
        write("data: [DONE]\n\n"),
    ];
    let answer = ask(steps).await.expect("an answer");
    let (first, first_answer) = (
        answer.first_token_at.expect("a token"),
        answer.first_answer_at.expect("a token"),
    );
    assert!(first_answer.sec_since(first) > 0.1, "the thought comes first");
}

#[tokio::test]
async fn llama_cpp_counts_by_its_timings() {
    let last = r#"{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"timings":{"cache_n":3,"prompt_n":4,"predicted_n":2}}"#;
    let steps = vec![
        chunked_head(),
        chunked(text("a")),
        chunked(text("b")),
        chunked(event(last)),
        chunked(event("[DONE]")),
        chunked_end(),
    ];
    let answer = ask(steps).await.expect("an answer");
    assert_eq!(counts(&answer), (Some(7), Some(2)));
    assert_eq!(answer.cached_tokens, Some(3));
    assert_eq!(
        answer.chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(),
        [None, None]
    );
}

#[tokio::test]
async fn data_may_lack_a_space_and_a_stream_its_end_mark() {
    let tgi = text("a").replace("data: ", "data:").replace('\n', "\r\n");
    let steps = vec![
        chunked_head(),
        chunked(": comment\r\n\r\n"),
        chunked(tgi),
        chunked(event(USAGE)),
        chunked_end(),
    ];
    let answer = ask(steps).await.expect("an answer");
    assert_eq!(
        (counts(&answer), &*answer.finish_reason),
        ((Some(7), Some(2)), "unknown")
    );
}

#[tokio::test]
async fn a_chunk_may_be_cut_within_a_character_and_within_its_length() {
    let whole = text("ä🙂");
    let cut = whole.find('ä').expect("it is there") + 1;
    let (begin, rest) = whole.as_bytes().split_at(cut);
    let steps = vec![
        chunked_head(),
        chunked(begin),
        pause_ms(5),
        chunked(rest),
        chunked(event(USAGE)),
        write("e\r"),
        pause_ms(5),
        write("\ndata: [DONE]\n\n\r\n0\r\n\r\n"),
    ];
    let answer = ask(steps).await.expect("an answer");
    let plain = ask(vec![stream_head(), write(text("ä🙂")), write("data: [DONE]\n\n")])
        .await
        .expect("an answer");
    assert_eq!(answer.output_text_sha256, plain.output_text_sha256);
    assert_eq!(answer.chunks.len(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_read() {
    let whole = r#"{"choices":[{"message":{"content":"ab"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        whole.len()
    );
    let answer = ask(vec![write(&head), write(whole)]).await.expect("an answer");
    assert_eq!((counts(&answer), answer.first_token_at), ((Some(7), Some(2)), None));
    let (cut, _) = reason(vec![write(&head), write(&whole[..30]), Step::Reset]).await;
    assert_eq!(cut, FailureReason::EndedEarly);
}

#[tokio::test]
async fn several_lines_of_data_are_one_object() {
    let cut = text("a")
        .replace("\"delta\"", "\ndata: \"delta\"")
        .replace('\n', "\r\n");
    let steps = vec![
        chunked_head(),
        chunked(cut),
        chunked(event(USAGE)),
        chunked(event("[DONE]")),
        chunked_end(),
    ];
    let answer = ask(steps).await.expect("an answer");
    assert_eq!((counts(&answer), answer.chunks.len()), ((Some(7), Some(2)), 1));
}

#[tokio::test]
async fn chunks_that_are_read_together_have_one_time_and_each_has_its_lag() {
    let pair = [text("a"), text("b")].concat();
    let steps = vec![
        stream_head(),
        write(pair),
        pause_ms(20),
        write(text("c")),
        write("data: [DONE]\n\n"),
    ];
    let answer = ask(steps).await.expect("an answer");
    let at: Vec<_> = answer.chunks.iter().map(|chunk| chunk.at).collect();
    assert_eq!(at[0], at[1]);
    assert!(at[2] >= at[1]);
    let lags = answer
        .chunks
        .iter()
        .map(|chunk| chunk.read_lag_sec.expect("Linux says when bytes arrive"));
    assert!(
        lags.clone().all(|lag_sec| lag_sec < 5.0),
        "{:?}",
        lags.collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn errors_are_distinguished() {
    let cases = [
        (
            page("429 Too Many Requests", r#"{"error":{"message":"slow down"}}"#),
            FailureReason::TooManyRequests,
            "slow down",
        ),
        (
            page("503 Service Unavailable", "loading model"),
            FailureReason::Unavailable,
            "loading model",
        ),
        (
            page(
                "400 Bad Request",
                r#"{"object":"error","message":"too long","code":400}"#,
            ),
            FailureReason::Status,
            "too long",
        ),
        (page("302 Found", ""), FailureReason::Status, "302"),
        (
            vec![
                stream_head(),
                write(text("a")),
                write("event: error\ndata: {\"message\":\"lost\"}\n\n"),
            ],
            FailureReason::ErrorEvent,
            "lost",
        ),
        (
            vec![
                stream_head(),
                write(text("a")),
                write("error: {\"code\":500,\"message\":\"lost\"}\n\n"),
            ],
            FailureReason::ErrorEvent,
            "lost",
        ),
        (
            vec![stream_head(), write(text("a")), Step::Reset],
            FailureReason::EndedEarly,
            "after 1 chunks",
        ),
        (
            vec![stream_head(), write(text("a"))],
            FailureReason::EndedEarly,
            "after 1 chunks",
        ),
        (
            vec![chunked_head(), chunked(text("a"))],
            FailureReason::EndedEarly,
            "after 1 chunks",
        ),
        (vec![Step::Reset], FailureReason::EndedEarly, "ended"),
        (
            vec![stream_head(), write(event("{nonsense"))],
            FailureReason::Unreadable,
            "column",
        ),
    ];
    for (steps, expected, words) in cases {
        let (reason, said) = reason(steps.clone()).await;
        assert_eq!(reason, expected, "{steps:?}: {said}");
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn a_silent_or_absent_server_fails_within_the_timeout() {
    let emitter = Emitter::start(|_| vec![stream_head(), write(text("a")), Step::Pause(TIMEOUT)]);
    let asked = client(&emitter)
        .ask(&request(), Duration::from_millis(50), |_| ())
        .await;
    assert_eq!(asked.map_err(|failure| failure.reason), Err(FailureReason::TimedOut));
    let nowhere = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free port");
    let port = nowhere.local_addr().expect("it is bound").port();
    drop(nowhere);
    let client = joulemark_openai::Client::new(format!("http://127.0.0.1:{port}").parse().expect("an address"), None);
    let asked = client.ask(&request(), TIMEOUT, |_| ()).await;
    assert_eq!(
        asked.map_err(|failure| failure.reason),
        Err(FailureReason::NotConnected)
    );
}

#[tokio::test]
async fn a_key_is_sent_and_never_printed() {
    let emitter = Emitter::start(|_| page("200 OK", "{}"));
    let secret = joulemark_openai::Secret::bearer("s3cret").expect("a header can hold it");
    let client = joulemark_openai::Client::new(client(&emitter).endpoint().clone(), Some(secret));
    client.page("/v1/models", TIMEOUT).await.expect("a page");
    assert!(emitter.asked()[0].head.contains("authorization: Bearer s3cret"));
    assert!(!format!("{client:?}").contains("s3cret"));
}
