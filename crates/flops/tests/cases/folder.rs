//! Questions about a model in a folder.

use joulemark_flops::model_files::describe;
use joulemark_flops::{FlopsAnswer, Logits, Question, RequestTokens};
use serde_json::{Map, Value, json};

use super::input;

pub const QUESTION: Question = Question {
    tokens: RequestTokens { input: 8, output: 4 },
    batch: 1,
    logits: Logits::Last,
    device: None,
};

/// Returns the answer for a folder with a configuration and tensors, each with its type and shape.
pub fn answer(config: &Value, tensors: &Map<String, Value>) -> FlopsAnswer {
    let folder = tempfile::Builder::new().prefix("input").tempdir().unwrap();
    let input = json!({"form": "folder", "files": {"model.safetensors": tensors}});
    let path = input::write(folder.path(), &input, config);
    describe(&path, "model").unwrap().answer("model", &QUESTION)
}
