use std::path::Path;

use serde_json::Value;

use super::config::{max_context_tokens, quantization, read_json, stated_bits, text_part};
use super::error::ModelFileError;
use super::files::ModelFiles;
use super::parameter_estimate::estimate_by_size_or_name;
use super::passed::{Passed, passed};
use super::pickles::{Pickles, pickles};
use super::read::is_there;
use super::weight_size::{plausible_bits, why_unknown};
use super::{gguf_model, safetensors_model, whole};
use crate::config_json::refuse_other_parts;
use crate::{Estimator, FlopsAnswer, Naming, Question, Walk, from_config_json};

/// Description of a model from which its FLOPs are counted. It needs no weights: a `config.json` is enough.
#[derive(Clone, Debug)]
pub struct Description {
    /// `general.architecture` of a GGUF, or `model_type` of a `config.json`; `None` where neither is given.
    pub architecture: Option<String>,
    /// Most precise way to count that the files allow.
    pub estimator: Estimator,
    /// Longest context that the model was made for, in tokens; `None` where the files do not state it.
    pub max_context_tokens: Option<u64>,
}

impl Description {
    /// Answers a question, with a note where it has more tokens than the model was made for. `name` is copied into the
    /// answer.
    pub fn answer(&self, name: &str, question: &Question) -> FlopsAnswer {
        let mut answer = self.estimator.answer(name, self.architecture.as_deref(), question);
        let longest = u64::from(question.tokens.input) + u64::from(question.tokens.output);
        if let Some(most) = self.max_context_tokens.filter(|most| longest > *most) {
            answer.notes.push(format!(
                "{longest} tokens are more than the {most} that the model was made for"
            ));
        }
        answer
    }
}

/// Describes a model by its folder, GGUF, or `config.json`; `name` may contain its size. Only headers are read.
///
/// ```
/// use joulemark_flops::model_files::describe;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("config.json"), r#"{"model_type": "gpt2"}"#)?;
/// let description = describe(folder.path(), "gpt2")?;
/// assert_eq!(description.architecture.as_deref(), Some("gpt2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns a [`ModelFileError`] as [`ModelFiles::open`] does, but weights may be missing.
pub fn describe(path: &Path, name: &str) -> Result<Description, ModelFileError> {
    let path = match passed(path)? {
        Passed::Config(config) => return of_config(&config, None, name),
        Passed::Model(path) => path,
    };
    let config = path.join("config.json");
    let is_bare = is_there(&config)?
        && safetensors_model::weight_files(&path)?.is_empty()
        && gguf_model::models_in(&path)?.is_empty();
    if is_bare {
        return of_config(&config, Some(&path), name);
    }
    let files = ModelFiles::open(&path)?;
    Ok(Description {
        estimator: files.estimator(name),
        architecture: Some(files.architecture),
        max_context_tokens: files.max_context_tokens,
    })
}

/// Compares the operators with the size of the pickles, where these are the model's weights.
fn compared(walk: Walk, config: &Value, pickles: Option<Pickles>) -> Walk {
    let Some(pickles) = pickles.filter(|pickles| pickles.are_named) else {
        return walk;
    };
    // Towers and projectors may have any size.
    let has_more = !std::ptr::eq(text_part(config), config)
        || ["vision_config", "audio_config", "mm_vision_tower"]
            .iter()
            .any(|key| config.get(*key).is_some());
    let sizes = plausible_bits(config).into_iter();
    let sizes = sizes.map(|bits| (bits.least / 8.0, if has_more { f64::INFINITY } else { bits.most / 8.0 }));
    walk.compared_with_size(pickles.bytes, &sizes.collect::<Vec<_>>())
}

/// Describes a model by the content of its `config.json`; `name` may contain its size.
///
/// Never fails: the answer's `notes` name what is assumed or cannot be counted.
///
/// ```
/// use joulemark_flops::model_files::describe_config;
/// use joulemark_flops::{Logits, Question, RequestTokens};
///
/// let config = serde_json::json!({"model_type": "llama", "torch_dtype": "bfloat16"});
/// let tokens = RequestTokens { input: 512, output: 2 };
/// let question = Question { tokens, batch: 1, logits: Logits::Last, device: None };
/// let answer = describe_config(&config, "llama").answer("llama", &question);
/// assert_eq!(answer.params_total, Some(6_738_415_616));
/// ```
pub fn describe_config(config: &Value, name: &str) -> Description {
    with_pickles(config, None, name)
}

/// Describes a model by its `config.json`, and by the pickles in its folder.
fn of_config(path: &Path, folder: Option<&Path>, name: &str) -> Result<Description, ModelFileError> {
    let pickles = folder.map(pickles).transpose()?.flatten();
    let config = read_json(path)?;
    refuse_other_json(path, &config)?;
    Ok(with_pickles(&config, pickles, name))
}

/// Returns an error for a file that is stored next to a `config.json` and describes no model.
fn refuse_other_json(path: &Path, config: &Value) -> Result<(), ModelFileError> {
    const OF_A_MODEL: [&str; 4] = ["model_type", "architectures", "peft_type", "hidden_size"];
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_other = OTHERS.contains(&file) && OF_A_MODEL.iter().all(|key| config.get(*key).is_none());
    match is_other {
        true => Err(ModelFileError::PassInstead {
            path: path.to_owned(),
            what: "not a description of a model",
            instead: "the config.json in the same folder, or the folder".to_owned(),
        }),
        false => Ok(()),
    }
}

/// JSON files of a model's folder that do not describe the model.
const OTHERS: [&str; 11] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "quantize_config.json",
    "hf_quant_config.json",
    "model_index.json",
];

/// Describes a model by its configuration and by its pickles.
fn with_pickles(config: &Value, pickles: Option<Pickles>, name: &str) -> Description {
    // A quantization leaves some weights unquantized, so their mean size is unknown.
    let bits = stated_bits(config);
    let uniform_bits = bits.filter(|_| quantization(config).is_none()).map(f64::from);
    let shape = from_config_json(config);
    let estimator = match shape.and_then(|shape| refuse_other_parts(config, &shape).map(|()| shape)) {
        Ok(shape) => {
            let walk = Walk::new(shape, Naming::HuggingFace, &[], uniform_bits).with_reason(why_unknown(config));
            Estimator::Walk(Box::new(compared(walk, config, pickles)))
        }
        Err(error) if error.is_zero() => Estimator::Unknown {
            reason: error.to_string(),
        },
        Err(error) => {
            let by_size = pickles
                .zip(bits)
                .map(|(pickles, bits)| pickles.bytes.saturating_mul(8) / u64::from(bits));
            estimate_by_size_or_name(by_size, name, &error.to_string())
        }
    };
    let estimator = match whole::of_config(config) {
        Some(reason) => Estimator::Unknown { reason },
        None => estimator,
    };
    let text = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
    Description {
        architecture: text("model_type"),
        estimator,
        max_context_tokens: max_context_tokens(config),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::describe;
    use crate::model_files::ModelFileError;
    use crate::{Confidence, Estimator, FlopsMethod, Logits, Question, RequestTokens};

    fn parameters(estimator: Estimator) -> (u64, FlopsMethod) {
        match estimator {
            Estimator::Parameters(parameters) => (parameters.total.unwrap(), parameters.method),
            other => panic!("not by parameters: {other:?}"),
        }
    }

    #[test]
    fn a_configuration_alone_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(
            &path,
            json!({"model_type": "gpt2", "torch_dtype": "float32"}).to_string(),
        )
        .unwrap();
        for path in [folder.path(), &path] {
            let description = describe(path, "").unwrap();
            let Estimator::Walk(walk) = description.estimator else {
                panic!("no walk")
            };
            assert!(!walk.is_traced());
            assert_eq!(walk.shape().parameters_total(), 124_439_808);
        }
    }

    #[test]
    fn parts_that_the_family_does_not_have_are_no_figure_without_tensors() {
        for (more, words) in [
            (
                json!({"num_experts": 8, "num_experts_per_tok": 2}),
                "`num_experts` is 8",
            ),
            (json!({"is_encoder_decoder": true}), "has no encoder"),
            (json!({"add_cross_attention": true}), "has no encoder"),
        ] {
            let mut config = json!({"model_type": "llama"});
            config
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            match super::describe_config(&config, "").estimator {
                Estimator::Unknown { reason } => assert!(reason.contains(words), "{reason}"),
                other => panic!("{config}: {other:?}"),
            }
        }
        let none = json!({"model_type": "llama", "num_experts": 0, "is_encoder_decoder": false});
        assert!(matches!(
            super::describe_config(&none, "").estimator,
            Estimator::Walk(_)
        ));
        let t5 = json!({"model_type": "t5", "is_encoder_decoder": true});
        assert!(matches!(super::describe_config(&t5, "").estimator, Estimator::Walk(_)));
    }

    #[test]
    fn an_unknown_family_is_estimated_by_size_and_then_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(
            path("config.json"),
            r#"{"model_type": "rwkv", "torch_dtype": "float16"}"#,
        )
        .unwrap();
        let low = FlopsMethod::ParameterEstimate;
        assert_eq!(
            parameters(describe(folder.path(), "rwkv-3b").unwrap().estimator),
            (3_000_000_000, low)
        );
        assert!(matches!(
            describe(folder.path(), "rwkv").unwrap().estimator,
            Estimator::Unknown { .. }
        ));
        std::fs::write(path("pytorch_model.bin"), vec![0; 2000]).unwrap();
        assert_eq!(
            parameters(describe(folder.path(), "rwkv-3b").unwrap().estimator),
            (1000, low)
        );
    }

    #[test]
    fn a_pickle_counts_once_and_only_where_it_holds_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        put("config.json", br#"{"model_type": "rwkv", "torch_dtype": "float16"}"#);
        put("adapter_model.bin", &[1; 800]);
        assert!(matches!(
            describe(folder.path(), "").unwrap().estimator,
            Estimator::Unknown { .. }
        ));
        put("consolidated.00.pth", &[1; 2000]);
        put("optimizer.pt", &[1; 8000]);
        put("training_args.bin", &[1; 80]);
        assert_eq!(parameters(describe(folder.path(), "").unwrap().estimator).0, 1000);
        put("pytorch_model-00001-of-00001.bin", &[1; 2002]);
        assert_eq!(parameters(describe(folder.path(), "").unwrap().estimator).0, 1001);
        put(
            "pytorch_model-00001-of-00001.bin",
            b"version https://git-lfs.github.com/spec/v1\n",
        );
        let error = describe(folder.path(), "").unwrap_err().to_string();
        assert!(error.contains("Git LFS pointer"), "{error}");
    }

    #[test]
    fn formulas_that_the_size_of_the_pickles_contradicts_are_trusted_less() {
        let folder = tempfile::tempdir().unwrap();
        let answer = |config: serde_json::Value, bytes: usize| {
            std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
            std::fs::write(folder.path().join("pytorch_model.bin"), vec![1; bytes]).unwrap();
            let question = Question {
                tokens: RequestTokens { input: 8, output: 4 },
                batch: 1,
                logits: Logits::Last,
                device: None,
            };
            describe(folder.path(), "").unwrap().answer("", &question)
        };
        // 10,560 parameters.
        let config = |more: serde_json::Value| {
            let mut config = json!({
                "model_type": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
                "num_attention_heads": 2, "vocab_size": 174,
            });
            config
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            config
        };
        let parameters = answer(config(json!({})), 1).params_total.unwrap() as usize;
        for (more, bytes, confidence) in [
            (json!({"torch_dtype": "float16"}), 2 * parameters, Confidence::Medium),
            (json!({"torch_dtype": "float16"}), 4 * parameters, Confidence::Low),
            (json!({"torch_dtype": "float16"}), parameters, Confidence::Low),
            (json!({}), 4 * parameters, Confidence::Medium),
            (json!({}), 2 * parameters, Confidence::Medium),
            (json!({}), parameters, Confidence::Low),
            (json!({"vision_config": {}}), 30 * parameters, Confidence::Medium),
            (
                json!({"quantization_config": {"quant_method": "awq"}}),
                parameters,
                Confidence::Medium,
            ),
            (
                json!({"quantization_config": {"quant_method": "awq"}}),
                parameters / 4,
                Confidence::Low,
            ),
            (
                json!({"quantization_config": {"quant_method": "mystery"}}),
                parameters / 4,
                Confidence::Medium,
            ),
        ] {
            let answer = answer(config(more.clone()), bytes);
            assert_eq!(
                answer.flops_confidence,
                Some(confidence),
                "{more} {bytes}: {:?}",
                answer.notes
            );
            let is_named = answer.notes.iter().any(|note| note.contains(&format!("{bytes} bytes")));
            assert_eq!(is_named, confidence == Confidence::Low, "{:?}", answer.notes);
        }
    }

    #[test]
    fn one_pickle_of_two_is_no_model() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("config.json", r#"{"model_type": "gpt2"}"#);
        put("pytorch_model-00001-of-00002.bin", "12");
        let error = describe(folder.path(), "").unwrap_err().to_string();
        assert!(error.contains("pytorch_model-00002-of-00002.bin is missing"), "{error}");
        put("pytorch_model-00002-of-00002.bin", "12");
        assert!(describe(folder.path(), "").is_ok());
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            describe(folder.path(), ""),
            Err(ModelFileError::NotAModel { .. })
        ));
        assert!(matches!(
            describe(&folder.path().join("a"), ""),
            Err(ModelFileError::NotFound { .. })
        ));
        let path = folder.path().join("config.json");
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(describe(&path, ""), Err(ModelFileError::Malformed { .. })));
    }
}
