use joulemark_openai::{CapabilityCard, ProbeError, probe};

use crate::emitter::{Emitter, Step, TIMEOUT, event, page, stream_head, text, write};

const MODELS: &str = r#"{"data":[{"id":"small"},{"id":"large"}]}"#;

/// Answers with as many tokens as are asked for: all where ends are ignored, else five.
fn answered(request: &str, honours_ignore_eos: bool) -> Vec<Step> {
    let goes_on = honours_ignore_eos && request.contains(r#""ignore_eos":true"#);
    let most = if request.contains(r#""max_tokens":2,"#) { 2 } else { 48 };
    let tokens = if goes_on { most } else { most.min(5) };
    let word = if request.contains(r#""seed":2"#) { "wave" } else { "sea" };
    let cached = u32::from(!request.contains(r#""cache_prompt":false"#)) * 7;
    let usage = format!(
        r#"{{"choices":[],"usage":{{"prompt_tokens":9,"completion_tokens":{tokens},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#
    );
    vec![stream_head(), write(text(word)), write(event(&usage)), write("data: [DONE]\n\n")]
}

async fn probed(answer: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> CapabilityCard {
    let emitter = Emitter::start(move |request| match request.split(' ').nth(1).expect("a target") {
        "/v1/models" => page("200 OK", MODELS),
        "/props" => page("200 OK", r#"{"build_info":"b9999-abc"}"#),
        "/v1/chat/completions" => answer(request),
        _ => page("404 Not Found", ""),
    });
    probe(&emitter.await.client(), Some("large"), TIMEOUT).await.expect("it answers")
}

#[tokio::test]
async fn what_a_server_honours_is_found_by_asking() {
    let card = probed(|request| answered(request, true)).await;
    let expected = CapabilityCard {
        models: vec!["small".to_owned(), "large".to_owned()],
        server: Some("llama.cpp".to_owned()),
        server_version: Some("b9999-abc".to_owned()),
        streams: true,
        usage: true,
        counts_in_chunks: false,
        ignore_eos: Some(true),
        min_tokens: Some(false),
        seed_reproduces: Some(true),
        caches_prompts: Some(false),
        refuses: Vec::new(),
    };
    assert_eq!(card, expected);
}

#[tokio::test]
async fn what_a_server_refuses_is_left_out_and_named() {
    let card = probed(|request| match request.contains("ignore_eos") || request.contains("cache_prompt") {
        true => page("422 Unprocessable Entity", r#"{"error":"unknown field"}"#),
        false => answered(request, false),
    });
    let card = card.await;
    assert_eq!(card.refuses, ["ignore_eos", "no_prompt_cache"]);
    assert_eq!((card.ignore_eos, card.caches_prompts), (None, Some(true)));
}

#[tokio::test]
async fn a_model_that_is_not_served_is_named_with_those_that_are() {
    let emitter = Emitter::start(|_| page("200 OK", MODELS)).await;
    let error = probe(&emitter.client(), Some("other"), TIMEOUT).await.expect_err("it is not served");
    assert!(matches!(error, ProbeError::OtherModel { .. }));
    assert_eq!(error.to_string(), "it does not serve other; it serves small, large");
}
