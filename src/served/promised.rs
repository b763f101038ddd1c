//! Decides how to use a server by its capabilities.

use joulemark_experiment::{Prompts, Spec};
use joulemark_measurement::{CapabilityCard, EosHandling, PromptCache};
use joulemark_openai::Extras;
use joulemark_worker::inference::EngineError;

/// Decides how to use a server by its capabilities: the extra fields of each request, the handling of end-of-sequence
/// tokens, and how cached prompts are avoided.
///
/// # Errors
/// Returns [`EngineError::Load`] when the experiment asks for something that the server does not support.
pub fn promised(spec: &Spec, card: &CapabilityCard) -> Result<(Extras, EosHandling, PromptCache), EngineError> {
    if !card.usage {
        return Err(EngineError::Load(
            "the server does not count tokens (usage), and there is no other way to know their number".to_owned(),
        ));
    }
    let is_chat = !spec.raw_prompt && !matches!(spec.prompts, Prompts::Synthetic { .. });
    if !card.chat && is_chat {
        return Err(EngineError::Load(
            "the server does not answer chats (/v1/chat/completions): set raw_prompt to true for prompts without a template"
                .to_owned(),
        ));
    }
    let eos = eos(spec, card)?;
    let extras = Extras {
        ignore_eos: eos == EosHandling::Ignored,
        min_tokens: (eos == EosHandling::Masked).then_some(spec.min_output_tokens),
        counts_in_chunks: card.takes("counts_in_chunks"),
        no_prompt_cache: card.takes("no_prompt_cache"),
    };
    let prompt_cache = match card.needs_unique_prefix() {
        false => PromptCache::Off,
        true => PromptCache::Prefixed,
    };
    Ok((extras, eos, prompt_cache))
}

fn eos(spec: &Spec, card: &CapabilityCard) -> Result<EosHandling, EngineError> {
    let least = spec.min_output_tokens;
    if least == 0 {
        return Ok(EosHandling::Natural);
    }
    // A capability that the probe could not determine is tried: an answer that ends early fails the experiment.
    let may = |honoured: Option<bool>, name: &str| honoured.unwrap_or(true) && card.takes(name);
    let is_exact = spec.draws_output_tokens() || least >= spec.max_output_tokens;
    if is_exact && card.ignore_eos == Some(true) {
        return Ok(EosHandling::Ignored);
    }
    if may(card.min_tokens, "min_tokens") {
        return Ok(EosHandling::Masked);
    }
    if is_exact && may(card.ignore_eos, "ignore_eos") {
        return Ok(EosHandling::Ignored);
    }
    let mend = match card.ignore_eos {
        Some(true) => "set it to max_output_tokens, which ignore_eos reaches, or to 0",
        _ => "set it to 0",
    };
    Err(EngineError::Load(format!(
        "min_output_tokens is {least}, but the server does not support min_tokens; {mend}"
    )))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use joulemark_experiment::{Decoder, Device, ExperimentRequest, Resolved};

    use super::*;

    fn spec(min_output_tokens: u32, max_output_tokens: u32) -> Spec {
        let request = ExperimentRequest {
            min_output_tokens: Some(min_output_tokens),
            max_output_tokens: Some(max_output_tokens),
            ..ExperimentRequest::default()
        };
        request.filled(Resolved {
            config_name: "a".to_owned(),
            model_name: "a".to_owned(),
            prompts: Prompts::Texts(Vec::new()),
            decoder: Decoder {
                do_sample: false,
                temperature: 0.0,
                top_k: None,
                top_p: None,
                repetition_penalty: None,
                min_p: None,
                no_repeat_ngram_size: None,
                seed: None,
            },
            num_processes: 1,
            gpus: Vec::new(),
            gpu_count: 0,
            device: Device::Cpu,
            engine: "lab".to_owned(),
            engine_arguments: BTreeMap::new(),
        })
    }

    fn card(ignore_eos: Option<bool>, min_tokens: Option<bool>, refuses: &[&str]) -> CapabilityCard {
        CapabilityCard {
            usage: true,
            chat: true,
            ignore_eos,
            min_tokens,
            refuses: refuses.iter().map(|&word| word.to_owned()).collect(),
            ..CapabilityCard::default()
        }
    }

    #[test]
    fn the_end_of_a_sequence_is_masked_ignored_or_natural_by_the_servers_capabilities() {
        for (lengths, card, expected) in [
            ((0, 8), card(Some(true), Some(true), &[]), EosHandling::Natural),
            ((8, 8), card(Some(true), Some(true), &[]), EosHandling::Ignored),
            ((4, 8), card(Some(true), Some(true), &[]), EosHandling::Masked),
            ((8, 8), card(Some(false), Some(true), &[]), EosHandling::Masked),
            ((8, 8), card(None, Some(false), &[]), EosHandling::Ignored),
            ((8, 8), card(None, None, &["min_tokens"]), EosHandling::Ignored),
        ] {
            let (extras, eos, _) = promised(&spec(lengths.0, lengths.1), &card).unwrap();
            assert_eq!(eos, expected, "{lengths:?} {card:?}");
            assert_eq!(extras.ignore_eos, expected == EosHandling::Ignored);
            assert_eq!(extras.min_tokens.is_some(), expected == EosHandling::Masked);
        }
    }

    #[test]
    fn an_unsupported_request_fails_before_the_warm_up_and_says_how_to_change_it() {
        let error = |lengths: (u32, u32), card| promised(&spec(lengths.0, lengths.1), &card).unwrap_err().to_string();
        let least = error((4, 8), card(Some(true), Some(false), &[]));
        assert!(least.contains("set it to max_output_tokens"), "{least}");
        let exact = error((8, 8), card(Some(false), Some(false), &[]));
        assert!(exact.contains("set it to 0"), "{exact}");
        let uncounted = CapabilityCard {
            usage: false,
            ..card(None, None, &[])
        };
        assert!(error((0, 8), uncounted).contains("does not count tokens"));
    }

    #[test]
    fn a_cache_that_may_be_active_is_avoided_by_unique_prompts() {
        for (caches_prompts, expected) in [
            (Some(false), PromptCache::Off),
            (Some(true), PromptCache::Prefixed),
            (None, PromptCache::Prefixed),
        ] {
            let card = CapabilityCard {
                caches_prompts,
                ..card(None, None, &["no_prompt_cache"])
            };
            let (extras, _, found) = promised(&spec(0, 8), &card).unwrap();
            assert_eq!(found, expected);
            assert!(!extras.no_prompt_cache, "the server rejects it");
        }
    }
}
