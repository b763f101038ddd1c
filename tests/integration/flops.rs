use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::models::{MODEL, models_dir};
use crate::server::Server;

/// What `joulemark flops --json` prints, and whether it succeeded.
fn flops(arguments: &[&str]) -> (bool, Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_joulemark"));
    let output = command.arg("flops").args(arguments).arg("--json").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.success(), answer, errors)
}

fn of_model(path: &Path) -> Value {
    let (succeeded, answer, errors) = flops(&["--model", path.to_str().unwrap(), "--output-tokens", "2"]);
    assert!(succeeded, "{errors}");
    answer
}

/// The model's file with its header changed and no weights, as long as the original and a little more.
fn with_header(folder: &Path, change: impl FnOnce(&mut Vec<u8>)) -> std::path::PathBuf {
    let original = Path::new(&models_dir()).join(MODEL);
    // The vocabulary ends before 4 MB.
    let mut header = Vec::new();
    File::open(&original)
        .unwrap()
        .take(4 << 20)
        .read_to_end(&mut header)
        .unwrap();
    change(&mut header);
    let path = folder.join("changed.gguf");
    let mut file = File::create(&path).unwrap();
    file.write_all(&header).unwrap();
    file.set_len(original.metadata().unwrap().len() + 4096).unwrap();
    path
}

/// Where the info of a matrix stands: name, two dimensions, type, offset.
fn info_of(header: &[u8], name: &str) -> std::ops::Range<usize> {
    let named = [(name.len() as u64).to_le_bytes().as_slice(), name.as_bytes()].concat();
    let start = header
        .windows(named.len())
        .position(|window| window == named)
        .expect("the tensor is there");
    start..start + named.len() + 4 + 2 * 8 + 4 + 8
}

fn change_count(header: &mut [u8], by: i64) {
    let count = u64::from_le_bytes(header[8..16].try_into().unwrap());
    header[8..16].copy_from_slice(&count.checked_add_signed(by).unwrap().to_le_bytes());
}

#[test]
fn the_real_model_is_traced_to_its_last_parameter() {
    let answer = of_model(&Path::new(&models_dir()).join(MODEL));
    assert_eq!(answer["flops_method"], "traced");
    assert_eq!(answer["flops_confidence"], "high");
    assert_eq!(answer["params_total"], 134_515_008_u64);
    // PyTorch's FlopCounterMode: a prefill of 128 with the last logits, and a decode step with 128 cached tokens.
    assert_eq!(answer["flops_prefill"], 28_368_175_104_u64);
    assert_eq!(answer["flops_decode"], 277_876_224_u64);
    let operators = answer["operators"].as_array().unwrap();
    let sum = |key: &str, counted: &[&str]| {
        let of_kind = operators
            .iter()
            .filter(|operator| counted.contains(&operator["kind"].as_str().unwrap()));
        of_kind.map(|operator| operator[key].as_u64().unwrap()).sum::<u64>()
    };
    let products = ["matrix_product", "attention"];
    assert_eq!(
        sum("flops_prefill", &products) + sum("flops_decode", &products),
        answer["flops_total"]
    );
    let small = ["elementwise"];
    assert_eq!(
        sum("flops_prefill", &small) + sum("flops_decode", &small),
        answer["flops_elementwise"]
    );
    let bytes: f64 = operators.iter().filter_map(|operator| operator["bytes"].as_f64()).sum();
    let file = Path::new(&models_dir()).join(MODEL).metadata().unwrap().len() as f64;
    assert!(bytes < file && bytes > 0.97 * file, "{bytes} of {file}");
}

#[test]
fn a_tensor_missing_from_the_real_header_drops_a_tier_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_header(folder.path(), |header| {
        let info = info_of(header, "blk.7.ffn_up.weight");
        header.drain(info);
        change_count(header, -1);
    });
    let answer = of_model(&path);
    assert_eq!(
        (&answer["flops_method"], &answer["flops_confidence"]),
        (&json!("architecture"), &json!("medium"))
    );
    assert!(
        answer["notes"].to_string().contains("`blk.7.ffn_up.weight` is missing"),
        "{}",
        answer["notes"]
    );
    // The metadata still tell the architecture.
    assert_eq!(answer["flops_prefill"], 28_368_175_104_u64);
}

#[test]
fn a_tensor_too_many_in_the_real_header_drops_a_tier_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_header(folder.path(), |header| {
        let info = info_of(header, "blk.7.ffn_up.weight");
        let mut copy = header[info.clone()].to_vec();
        let name = copy.windows(6).position(|window| window == b"ffn_up").unwrap();
        copy[name..name + 6].copy_from_slice(b"ffn_xx");
        header.splice(info.start..info.start, copy);
        change_count(header, 1);
    });
    let answer = of_model(&path);
    assert_eq!(answer["flops_method"], "architecture");
    assert!(
        answer["notes"].to_string().contains("`blk.7.ffn_xx.weight`"),
        "{}",
        answer["notes"]
    );
    assert_eq!(answer["params_total"], 134_515_008_u64);
}

#[test]
fn a_truncated_header_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_header(folder.path(), |header| header.truncate(100_000));
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(100_000)
        .unwrap();
    let (succeeded, _, errors) = flops(&["--model", path.to_str().unwrap()]);
    assert!(!succeeded && errors.contains("is damaged"), "{errors}");
}

#[test]
fn a_configuration_alone_is_counted_and_one_of_no_family_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    std::fs::write(&path, r#"{"model_type": "gpt2"}"#).unwrap();
    let answer = of_model(&path);
    assert_eq!(
        (&answer["flops_method"], &answer["params_total"]),
        (&json!("architecture"), &json!(124_439_808))
    );
    assert_eq!(answer["bytes_per_token"], Value::Null);
    std::fs::write(&path, r#"{"model_type": "rwkv"}"#).unwrap();
    let (succeeded, answer, errors) = flops(&["--model", path.to_str().unwrap()]);
    assert!(!succeeded && errors.contains("rwkv"), "{errors}");
    assert_eq!(
        (&answer["flops_total"], &answer["flops_method"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn the_service_gives_the_command_s_answer() {
    let server = Server::start_with(&["--models-dir", &models_dir()]);
    let question = json!({
        "model": MODEL, "input_tokens": 100, "output_tokens": 30, "batch": 2, "logits": "all", "device": "Tesla T4",
    });
    let response = server.post("/v1/flops", "application/json", question.to_string()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut served: Value = response.json().await.unwrap();
    let path = Path::new(&models_dir()).join(MODEL);
    let (_, mut printed, _) = flops(&[
        "--model",
        path.to_str().unwrap(),
        "--input-tokens",
        "100",
        "--output-tokens",
        "30",
        "--batch",
        "2",
        "--logits",
        "all",
        "--device",
        "Tesla T4",
    ]);
    for answer in [&mut served, &mut printed] {
        answer.as_object_mut().unwrap().remove("model");
    }
    assert_eq!(served, printed);
    assert!(served["roofline"]["least_time_sec"].as_f64().unwrap() > 0.0);

    let config = json!({"config": {"model_type": "mistral"}, "input_tokens": 1, "output_tokens": 1});
    let response = server.post("/v1/flops", "application/json", config.to_string()).await;
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["params_total"], 7_241_732_096_u64);

    for (body, pointer) in [
        (json!({"model": "../etc/passwd"}), "/model"),
        (json!({"model_name": "none.gguf"}), "/model_name"),
        (json!({"model": MODEL, "input_tokens": 0}), "/input_tokens"),
        (json!({}), "/model"),
        (json!({"config": {"model_type": "llama", "hidden_size": -3}}), "/config"),
    ] {
        let response = server.post("/v1/flops", "application/json", body.to_string()).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem:#}");
    }
}
