use std::time::Duration;

use joulemark_openai::{CapabilityCard, ProbeError, probe};
use joulemark_testkit::openai_emitter::{Asked, Dialect, Emitter, Speaker, Step, page};

use crate::asking::{TIMEOUT, client};

fn speaker(dialect: Dialect) -> Speaker {
    let models = ["small", "large"].map(str::to_owned).to_vec();
    Speaker {
        models,
        before_first: Duration::ZERO,
        between: Duration::ZERO,
        ..Speaker::new(dialect)
    }
}

async fn probed(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> CapabilityCard {
    let emitter = Emitter::start(script);
    probe(&client(&emitter), Some("large"), TIMEOUT)
        .await
        .expect("it answers")
}

#[tokio::test]
async fn the_probe_finds_what_each_server_honours() {
    let honoured = |server: &str, version: &str, counts_in_chunks| CapabilityCard {
        models: vec!["small".to_owned(), "large".to_owned()],
        server: Some(server.to_owned()),
        server_version: Some(version.to_owned()),
        chat: true,
        streams: true,
        usage: true,
        counts_in_chunks,
        ignore_eos: Some(true),
        min_tokens: Some(true),
        seed_reproduces: Some(true),
        caches_prompts: Some(false),
        refuses: Vec::new(),
    };
    let not = |server, version, caches_prompts| CapabilityCard {
        ignore_eos: Some(false),
        min_tokens: Some(false),
        caches_prompts,
        ..honoured(server, version, false)
    };
    let cases = [
        // Its cache only shows in its metrics.
        (Dialect::Vllm, honoured("vLLM", "0.11.0", true)),
        (
            Dialect::Sglang,
            CapabilityCard {
                caches_prompts: Some(true),
                ..honoured("SGLang", "0.5.3", false)
            },
        ),
        (Dialect::Tgi, not("TGI", "3.3.6", None)),
        (Dialect::Ollama, not("Ollama", "0.12.6", None)),
        (
            Dialect::LlamaCpp,
            CapabilityCard {
                min_tokens: Some(false),
                ..honoured("llama.cpp", "b6700-abc", true)
            },
        ),
    ];
    for (dialect, expected) in cases {
        let speaker = speaker(dialect);
        let card = probed(move |asked| speaker.answer(asked)).await;
        assert_eq!(card, expected);
        assert_eq!(card.needs_unique_prefix(), expected.caches_prompts != Some(false));
    }
}

#[tokio::test]
async fn a_model_without_a_chat_template_is_asked_for_completions() {
    let speaker = speaker(Dialect::Vllm);
    let card = probed(move |asked| match asked.path.contains("/chat/") {
        true => page(
            "400 Bad Request",
            r#"{"error":{"message":"a chat template is needed"}}"#,
        ),
        false => speaker.answer(asked),
    });
    let card = card.await;
    assert_eq!((card.chat, card.ignore_eos, card.refuses.len()), (false, Some(true), 0));
}

#[tokio::test]
async fn what_a_server_rejects_is_left_out_and_named() {
    let speaker = speaker(Dialect::Sglang);
    let card = probed(move |asked| {
        match ["ignore_eos", "cache_prompt"]
            .iter()
            .any(|name| asked.body.get(name).is_some())
        {
            true => page("422 Unprocessable Entity", r#"{"error":"unknown field"}"#),
            false => speaker.answer(asked),
        }
    });
    let card = card.await;
    assert_eq!(card.refuses, ["ignore_eos", "no_prompt_cache"]);
    assert_eq!((card.ignore_eos, card.caches_prompts), (None, Some(true)));
}

#[tokio::test]
async fn a_model_that_is_not_served_is_named_with_those_that_are() {
    let emitter = Emitter::speaking(speaker(Dialect::Vllm));
    let error = probe(&client(&emitter), Some("other"), TIMEOUT)
        .await
        .expect_err("it is not served");
    assert!(matches!(error, ProbeError::OtherModel { .. }));
    assert_eq!(error.to_string(), "it does not serve other; it serves small, large");
}

#[tokio::test]
async fn a_failing_server_is_an_error_of_the_probe() {
    let speaker = speaker(Dialect::LlamaCpp);
    let emitter = Emitter::start(move |asked| match asked.body["max_tokens"] == 48 {
        true => page("503 Service Unavailable", r#"{"error":{"message":"no slot"}}"#),
        false => speaker.answer(asked),
    });
    let error = probe(&client(&emitter), None, TIMEOUT).await.expect_err("it fails");
    let expected = "a request of 48 tokens: the server answered 503, not available: 503 no slot";
    assert_eq!(error.to_string(), expected);
}
