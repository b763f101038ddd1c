use std::io::Cursor;

use proptest::prelude::*;

use super::{GgufHeader, MetadataValue, read_header};
use crate::model_files::error::HeaderError;

/// A GGUF file, written as the specification says.
#[derive(Default)]
struct File {
    keys: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data_bytes: usize,
}

impl File {
    fn key(mut self, name: &str, kind: u32, value: &[u8]) -> Self {
        self.keys
            .push([text(name), kind.to_le_bytes().to_vec(), value.to_vec()].concat());
        self
    }

    fn tensor(mut self, name: &str, dimensions: &[u64], type_id: u32, offset: u64) -> Self {
        let count = u32::try_from(dimensions.len()).unwrap().to_le_bytes().to_vec();
        let dimensions = dimensions
            .iter()
            .flat_map(|dimension| dimension.to_le_bytes())
            .collect();
        let tail = [type_id.to_le_bytes().to_vec(), offset.to_le_bytes().to_vec()].concat();
        self.tensors.push([text(name), count, dimensions, tail].concat());
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.keys.len() as u64).to_le_bytes());
        file.extend(self.keys.concat());
        file.extend(self.tensors.concat());
        file.resize(file.len().next_multiple_of(32) + self.data_bytes, 0);
        file
    }
}

fn text(text: &str) -> Vec<u8> {
    [(text.len() as u64).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

fn list(kind: u32, len: u64, items: &[u8]) -> Vec<u8> {
    [kind.to_le_bytes().as_slice(), &len.to_le_bytes(), items].concat()
}

fn sample() -> File {
    let vocabulary: Vec<u8> = (0..2000).flat_map(|word| text(&format!("word{word}"))).collect();
    let mut file = File::default()
        .key("general.architecture", 8, &text("llama"))
        .key("llama.block_count", 4, &30_u32.to_le_bytes())
        .key("llama.rope.freq_base", 6, &1e5_f32.to_le_bytes())
        .key("split.tensors.count", 5, &(-1_i32).to_le_bytes())
        .key("tokenizer.ggml.tokens", 9, &list(8, 2000, &vocabulary))
        .key("layers", 9, &list(4, 2, &[1, 0, 0, 0, 2, 0, 0, 0]))
        .tensor("token_embd.weight", &[64, 10], 3, 0)
        .tensor("output_norm.weight", &[64], 0, 416);
    file.data_bytes = 416 + 256;
    file
}

fn read(bytes: &[u8]) -> Result<GgufHeader, HeaderError> {
    read_header(Cursor::new(bytes), bytes.len() as u64)
}

fn reason(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn metadata_and_tensors_are_read() {
    let header = read(&sample().bytes()).unwrap();
    assert_eq!(header.metadata["general.architecture"].as_text(), Some("llama"));
    assert_eq!(header.metadata["llama.block_count"].as_count(), Some(30));
    assert_eq!(header.metadata["split.tensors.count"], MetadataValue::Signed(-1));
    assert_eq!(header.metadata["tokenizer.ggml.tokens"], MetadataValue::LongList(2000));
    assert_eq!(header.metadata["layers"].list_len(), Some(2));
    assert_eq!(header.tensors[0].shape, [10, 64]);
    assert_eq!(
        (header.tensors[0].dtype.as_str(), header.tensors[0].bytes),
        ("Q4_1", 400)
    );
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = sample().bytes();
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn a_claimed_length_beyond_the_file_allocates_nothing() {
    for claim in [u64::MAX, 1 << 62, 1 << 40] {
        let hostile_text = File::default().key("a", 8, &claim.to_le_bytes());
        let hostile_list = File::default().key("a", 9, &list(10, claim, &[]));
        let hostile_tensor = File::default().tensor("a", &[claim, claim], 0, 0);
        for file in [hostile_text, hostile_list, hostile_tensor] {
            assert!(read(&file.bytes()).is_err());
        }
        let mut counts = b"GGUF\x03\0\0\0".to_vec();
        counts.extend([claim.to_le_bytes(), claim.to_le_bytes()].concat());
        assert!(reason(&counts).contains("tensors"));
    }
}

#[test]
fn endless_nesting_of_lists_is_refused() {
    let nested = (0..1000).fold(Vec::new(), |inner, _| list(9, 1, &inner));
    assert!(reason(&File::default().key("a", 9, &nested).bytes()).contains("nested"));
}

#[test]
fn a_refusal_says_what_is_wrong() {
    assert!(reason(b"PK\x03\x04....").contains("GGUF"));
    assert!(reason(b"GGUF\0\0\0\x03").contains("version"));
    assert!(reason(&File::default().key("a", 99, &[]).bytes()).contains("type 99"));
    assert!(reason(&File::default().tensor("a", &[32], 77, 0).bytes()).contains("type 77"));
    assert!(reason(&File::default().tensor("a", &[31], 3, 0).bytes()).contains("shape"));
    assert!(reason(&File::default().tensor("a", &[32], 3, u64::MAX).bytes()).contains("shape"));
    assert!(reason(&File::default().tensor("a", &[32], 3, 0).bytes()).contains("need 20 bytes"));
    assert!(reason(&File::default().key("a", 0, &[1]).key("a", 0, &[1]).bytes()).contains("twice"));
    assert!(reason(&File::default().key("general.alignment", 4, &[0; 4]).bytes()).contains("alignment"));
    let twice = File::default().tensor("a", &[0], 0, 0).tensor("a", &[0], 0, 0);
    assert!(reason(&twice.bytes()).contains("`a` twice"));
}

proptest! {
    #[test]
    fn a_damaged_header_never_panics(flips in proptest::collection::vec((0..20_000_usize, any::<u8>()), 1..20)) {
        let mut bytes = sample().bytes();
        for (position, value) in flips {
            let position = position % bytes.len();
            bytes[position] = value;
        }
        let _outcome = read(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _outcome = read(&[b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".as_slice(), &tail].concat());
    }
}
