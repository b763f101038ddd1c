//! Compares the engine's list of text models with the one that `joulemark-flops` supports.

use std::str::FromStr;

use mistralrs::NormalLoaderType;
use serde_json::Value;

const LIST: &str = include_str!("../../../crates/flops/src/testdata/mistralrs_loaders.json");

#[test]
fn the_list_of_text_models_is_the_engine_s() {
    let list: Value = serde_json::from_str(LIST).unwrap();
    let mut listed = Vec::new();
    for loader in list["normal"].as_array().unwrap() {
        let (name, class) = (loader[0].as_str().unwrap(), loader[1].as_str().unwrap());
        let by_name = NormalLoaderType::from_str(name).unwrap();
        assert_eq!(by_name, NormalLoaderType::from_causal_lm_name(class).unwrap());
        listed.push(name.to_owned());
    }
    // The error names all models, each in backticks after the requested one.
    let error = NormalLoaderType::from_str("none").unwrap_err();
    let mut known: Vec<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    known.sort();
    listed.sort();
    assert_eq!(listed, known);
}
