use serde_json::json;

use super::*;
use joulemark_experiment::described_fields;

fn typed(inputs: &[(&str, &str)]) -> Typed {
    let mut typed = Typed::default();
    for (name, text) in inputs {
        typed.set(name, *text);
    }
    typed
}

fn document_of(inputs: &[(&str, &str)]) -> Value {
    read(&typed(inputs), &described_fields()).document()
}

fn problems_of(inputs: &[(&str, &str)]) -> Vec<(String, String)> {
    let typed = typed(inputs);
    let read = read(&typed, &described_fields());
    let problems = read.problems(&read.document()).into_iter();
    problems.map(|problem| (problem.pointer, problem.detail)).collect()
}

#[test]
fn empty_fields_are_absent_and_others_have_their_types() {
    assert_eq!(
        document_of(&[("model_name", ""), ("num_cycles", "  "), ("gpus", "\n")]),
        json!({})
    );
    let document = document_of(&[
        ("model_name", "m.gguf"),
        ("num_cycles", " 5 "),
        ("max_failed_share", "0.25"),
        ("priority", "-3"),
        ("raw_prompt", "true"),
        ("process_per_cycle", "false"),
        ("distribution", "replicate"),
        ("decoder", "temperature: 0.7\nseed: 18446744073709551615"),
        ("load", "{\"closed\": {\"concurrency\": 4}}"),
        ("gpus", "0, GPU-abc"),
        ("labels", "team: nlp\nrun: '2'"),
        ("no_such_field", "x"),
    ]);
    let expected = json!({
        "model_name": "m.gguf", "num_cycles": 5, "max_failed_share": 0.25, "priority": -3, "raw_prompt": true,
        "process_per_cycle": false, "distribution": "replicate",
        "decoder": {"temperature": 0.7, "seed": u64::MAX}, "load": {"closed": {"concurrency": 4}},
        "gpus": [0, "GPU-abc"], "labels": {"team": "nlp", "run": "2"},
    });
    assert_eq!(document, expected);
}

#[test]
fn a_list_may_be_written_on_one_line_in_yaml_or_in_json() {
    for text in ["0, 1", "[0, 1]", "- 0\n- 1", "0,1,"] {
        assert_eq!(document_of(&[("gpus", text)]), json!({"gpus": [0, 1]}), "{text}");
    }
    assert_eq!(
        document_of(&[("prompt_lines", "- prompt: a, b")])["prompt_lines"],
        json!([{"prompt": "a, b"}])
    );
}

#[test]
fn each_kind_of_prompts_becomes_its_document() {
    for (inputs, prompts) in [
        (&[("prompts.kind", ""), ("prompts.texts", "ignored")][..], json!(null)),
        (
            &[
                ("prompts.kind", "dataset"),
                ("prompts.dataset", "short-32"),
                ("prompts.count", "4"),
            ],
            json!({"dataset": "short-32", "count": 4}),
        ),
        (
            &[
                ("prompts.kind", "dataset"),
                ("prompts.dataset", "long-16"),
                ("prompts.count", ""),
            ],
            json!({"dataset": "long-16"}),
        ),
        (
            &[
                ("prompts.kind", "synthetic"),
                ("prompts.input_tokens", "128"),
                ("prompts.synthetic_count", "16"),
                ("prompts.seed", "0"),
            ],
            json!({"synthetic": {"input_tokens": 128, "count": 16, "seed": 0}}),
        ),
        (
            &[("prompts.kind", "texts"), ("prompts.texts", "one\n\n 2 \n")],
            json!(["one", " 2 "]),
        ),
        (
            &[("prompts.kind", "document"), ("prompts", "[a, 'b\n\n  c']")],
            json!(["a", "b\nc"]),
        ),
        (&[("prompts.kind", "document"), ("prompts", " ")], json!(null)),
    ] {
        assert_eq!(document_of(inputs)["prompts"], prompts, "{inputs:?}");
    }
}

#[test]
fn problems_are_those_of_the_api_at_their_fields() {
    let problems = problems_of(&[
        ("num_cycles", "many"),
        ("warmup_iterations", "1.5"),
        ("decoder", "top_p: 2"),
        ("labels", "run: 2"),
        ("load", "{\"closed\": "),
        ("gpus", "[0"),
        ("prompts.kind", "synthetic"),
        ("prompts.seed", "0"),
    ]);
    for (pointer, expected) in [
        ("/model_name", "is required"),
        ("/num_cycles", "is \"many\"; accepted is an integer from 1 to 1000"),
        ("/warmup_iterations", "is 1.5; accepted is an integer"),
        ("/decoder/top_p", "is 2; accepted is a number above 0"),
        (
            "/labels/run",
            "is 2; accepted is a text of 1 to 500 characters without control characters: put it in quotes",
        ),
        ("/load", "ends before its JSON is complete"),
        ("/gpus", "is not YAML"),
        ("/prompts/synthetic/count", "is required"),
    ] {
        let found = problems
            .iter()
            .filter(|(at, detail)| at == pointer && detail.starts_with(expected));
        assert_eq!(found.count(), 1, "{pointer}: {problems:#?}");
    }
}

#[test]
fn a_value_that_yaml_reads_differently_than_it_looks_is_reported() {
    let good = [("model_name", "m"), ("settle", "until: steady\nmax_sec: 0x10")];
    let problems = problems_of(&good);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].0 == "/settle/max_sec" && problems[0].1.contains("write 16"),
        "{problems:?}"
    );
}

#[test]
fn too_many_values_are_rejected() {
    let list = format!("[{}]", vec!["0"; MAX_VALUES / 2].join(","));
    let problems = problems_of(&[("model_name", "m"), ("gpus", &list), ("prompt_lines", &list)]);
    assert!(
        problems
            .iter()
            .any(|(_, detail)| detail.contains("which is the maximum")),
        "{}",
        problems.len()
    );
}

#[test]
fn every_experiment_survives_being_copied_into_the_form() {
    for experiment in [
        json!({"model_name": "m"}),
        json!({
            "config_name": "m", "model_name": "m", "engine": "mistral", "engine_arguments": {}, "prompts": ["a", "b c"],
            "decoder": {"temperature": 0.0, "do_sample": false, "top_k": null, "seed": null}, "gpus": [], "gpu_count": 0,
            "num_cycles": 3, "labels": {}, "load": null, "pue": null,
        }),
        json!({
            "config_name": "c: 'no'", "model_name": "m", "prompts": ["a\nb", " padded", "no", "1.10", "é \"q\" # x", "- y", "\u{0}\r"],
            "decoder": {"temperature": 0.5, "seed": u64::MAX}, "gpus": ["GPU-a"], "num_cycles": 7, "raw_prompt": true,
            "labels": {"on": "yes", "v": "1.10", "s": " : ", "n": "null"}, "pue": 1.25,
            "load": {"open": {"rate_per_sec": 2.0, "arrivals": "poisson", "burstiness": null, "seed": 0, "requests": 100}},
        }),
        json!({"model_name": "m", "prompts": {"dataset": "short-32", "count": null}}),
        json!({"model_name": "m", "prompts": {"dataset": "of another release", "count": 3}}),
        json!({"model_name": "m", "prompts": {"synthetic": {"input_tokens": 5, "count": 6, "seed": 7}}}),
        json!({"model_name": "m", "prompts": {"synthetic": {
            "input_tokens": 8, "count": 6, "seed": 7, "shared_prefix_tokens": 4,
            "input_length": {"normal": {"mean": 8.0, "sd": 2.0, "min": 4, "max": 16}}}}}),
        json!({"model_name": "m", "prompts": [], "prompt_lines": [{"prompt": "x: y", "max_output_tokens": 3}]}),
    ] {
        let described = described_fields();
        let typed = typed_of(&experiment, &described);
        let again = read(&typed, &described);
        assert_eq!(again.unparsed, [], "{experiment}");
        let document = again.document();
        for field in &described {
            let was = without_nulls(&experiment[field.name]);
            let is = without_nulls(&document[field.name]);
            let same = is == was || (is.is_null() && is_as_by_default(field, &was, &experiment));
            assert!(same, "{}: {was} became {is}", field.name);
        }
    }
}
