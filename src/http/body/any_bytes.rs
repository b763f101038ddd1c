//! A fuzz target that submits arbitrary bytes. CONTRIBUTING.md says how to run it for longer.

use axum::http::{HeaderMap, HeaderValue, header};
use joulemark_testkit::edits::edited;

use super::read;
use joulemark_experiment::parse;

const JSON: [&[u8]; 2] = [
    br#"{"model_name": "m", "prompts": ["a", "\u00e9\ud83e\udd80"], "labels": {"a": "b"}, "num_cycles": 2}"#,
    br#"{"model_name": "m", "prompts": {"synthetic": {"input_tokens": 1, "count": 2, "seed": 18446744073709551615}},
      "decoder": {"temperature": 0.7, "do_sample": true, "top_p": 1e-3}, "gpus": [], "callback_url": null}"#,
];
const YAML: [&[u8]; 2] = [
    b"model_name: m\nprompts:\n  - a\n  - |\n    two\n    lines\nlabels: {a: \"b\", c: 'd'}\nnum_cycles: 2\n",
    b"%YAML 1.2\n---\nmodel_name: &a m\nconfig_name: *a\nprompts: {dataset: short-32, count: 0x4}\ndecoder: {seed: ~}\n...\n",
];

fn submit(content_type: &'static str, bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let Ok(body) = read(&headers, bytes) else { return };
    let read_again = serde_json::from_str::<serde_json::Value>(&body.document.to_string());
    assert_eq!(read_again.ok().as_ref(), Some(&body.document));
    match parse(&body.document) {
        Ok(_) => {}
        Err(problems) => {
            let count = problems.len();
            let written = body.as_written(problems);
            assert!(count > 0 && written.len() == count);
            // An error message quotes only part of a long text.
            assert!(written.iter().all(|problem| problem.detail.len() < 10_000));
        }
    }
}

#[test]
fn any_bytes_are_read_or_refused_as_a_submission() {
    bolero::check!().with_iterations(2_000).for_each(|bytes: &[u8]| {
        submit("application/json", bytes);
        submit("application/yaml", bytes);
        submit("application/json", &edited(&JSON, bytes));
        submit("application/yaml", &edited(&YAML, bytes));
    });
}
