//! The input of a case: a configuration, a folder with safetensors, or a GGUF. The data of tensors are a sparse hole.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Writes the input into the folder and returns the path to describe.
pub fn write(folder: &Path, input: &Value, config: &Value) -> PathBuf {
    let model = folder.join("model");
    std::fs::create_dir(&model).unwrap();
    match input["form"].as_str() {
        Some("config") => {
            let path = model.join(input["path"].as_str().unwrap_or("config.json"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = input["text"].as_str().map_or_else(|| config.to_string(), str::to_owned);
            std::fs::write(&path, text).unwrap();
            path
        }
        Some("folder") => {
            std::fs::write(model.join("config.json"), config.to_string()).unwrap();
            for (name, tensors) in input["files"].as_object().unwrap() {
                safetensors(&model.join(name), tensors.as_object().unwrap());
            }
            model
        }
        Some("gguf") => {
            let path = model.join("model.gguf");
            gguf(&path, &input["metadata"], &input["tensors"]);
            path
        }
        other => panic!("a form that no case has: {other:?}"),
    }
}

fn numbers(list: &Value) -> Vec<u64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_u64().unwrap())
        .collect()
}

fn bytes_of(dtype: &str) -> u64 {
    match dtype {
        "F64" | "I64" | "U64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        _ => 1,
    }
}

fn safetensors(path: &Path, tensors: &Map<String, Value>) {
    let mut end = 0;
    let mut header = Map::new();
    for (name, tensor) in tensors {
        let dtype = tensor[0].as_str().unwrap();
        let begin = end;
        end += numbers(&tensor[1]).iter().product::<u64>() * bytes_of(dtype);
        let entry = json!({"dtype": dtype, "shape": tensor[1], "data_offsets": [begin, end]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let content = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let length = content.len() as u64 + end;
    std::fs::write(path, content).unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(length)
        .unwrap();
}

const GGUF_ALIGNMENT: u64 = 32;
/// Size of an element of F32, which is enough for every type in the cases.
const MAX_BYTES_PER_ELEMENT: u64 = 4;

fn gguf(path: &Path, metadata: &Value, tensors: &Value) {
    let (metadata, tensors) = (metadata.as_object().unwrap(), tensors.as_array().unwrap());
    let mut content = b"GGUF".to_vec();
    content.extend(3_u32.to_le_bytes());
    content.extend((tensors.len() as u64).to_le_bytes());
    content.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut content, key);
        gguf_value(&mut content, value);
    }
    let mut offset = 0_u64;
    for tensor in tensors {
        let dimensions = numbers(&tensor[1]);
        text(&mut content, tensor[0].as_str().unwrap());
        content.extend(u32::try_from(dimensions.len()).unwrap().to_le_bytes());
        dimensions
            .iter()
            .for_each(|length| content.extend(length.to_le_bytes()));
        content.extend(u32::try_from(tensor[2].as_u64().unwrap()).unwrap().to_le_bytes());
        content.extend(offset.to_le_bytes());
        offset += dimensions.iter().product::<u64>() * MAX_BYTES_PER_ELEMENT;
        offset = offset.next_multiple_of(GGUF_ALIGNMENT);
    }
    let length = (content.len() as u64).next_multiple_of(GGUF_ALIGNMENT) + offset;
    std::fs::write(path, content).unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(length)
        .unwrap();
}

fn text(content: &mut Vec<u8>, text: &str) {
    content.extend((text.len() as u64).to_le_bytes());
    content.extend(text.as_bytes());
}

/// Writes the type's number and the value; for a list the type of its items, their number and each item.
fn gguf_value(content: &mut Vec<u8>, value: &Value) {
    content.extend(gguf_type(value).to_le_bytes());
    match value {
        Value::Array(items) => {
            content.extend(items.first().map_or(4, gguf_type).to_le_bytes());
            content.extend((items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| gguf_payload(content, item));
        }
        other => gguf_payload(content, other),
    }
}

fn gguf_type(value: &Value) -> u32 {
    match value {
        Value::Bool(_) => 7,
        Value::String(_) => 8,
        Value::Array(_) => 9,
        Value::Number(number) if number.is_f64() => 6,
        _ => 4,
    }
}

fn gguf_payload(content: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(flag) => content.push(u8::from(*flag)),
        Value::String(value) => text(content, value),
        Value::Number(number) if number.is_f64() => {
            content.extend((number.as_f64().unwrap() as f32).to_le_bytes());
        }
        other => content.extend(u32::try_from(other.as_u64().unwrap()).unwrap().to_le_bytes()),
    }
}
