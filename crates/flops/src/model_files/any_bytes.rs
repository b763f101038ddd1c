//! Fuzz targets: arbitrary bytes in a model's file. CONTRIBUTING.md describes longer runs.

use std::io::Cursor;

use joulemark_testkit::edits::edited;

use super::{gguf, safetensors};

const GGUF: [&[u8]; 1] = [include_bytes!("__fuzz__/gguf.seed")];
const SAFETENSORS: [&[u8]; 1] = [include_bytes!("__fuzz__/safetensors.seed")];

#[test]
fn the_seeds_are_read() {
    let of_gguf = gguf::read_header(Cursor::new(GGUF[0]), GGUF[0].len() as u64).unwrap();
    assert_eq!((of_gguf.tensors.len(), of_gguf.metadata.len()), (2, 4));
    let tensors = safetensors::read_header(SAFETENSORS[0], SAFETENSORS[0].len() as u64).unwrap();
    assert_eq!(tensors.len(), 2);
}

#[test]
fn any_bytes_are_read_or_refused_as_gguf() {
    bolero::check!().with_iterations(2_000).for_each(|bytes: &[u8]| {
        for file in [bytes.to_vec(), edited(&GGUF, bytes)] {
            let size = file.len() as u64;
            if let Ok(header) = gguf::read_header(Cursor::new(&file), size) {
                // Each takes some bytes of the header.
                assert!(header.tensors.len() + header.metadata.len() <= file.len());
                let bytes: u64 = header.tensors.iter().map(|tensor| tensor.bytes).sum();
                assert!(bytes <= size, "{bytes} in a file of {size}");
            }
        }
    });
}

#[test]
fn any_bytes_are_read_or_refused_as_safetensors() {
    bolero::check!().with_iterations(2_000).for_each(|bytes: &[u8]| {
        for file in [bytes.to_vec(), edited(&SAFETENSORS, bytes)] {
            let size = file.len() as u64;
            if let Ok(tensors) = safetensors::read_header(&file[..], size) {
                let bytes: u64 = tensors.iter().map(|tensor| tensor.bytes).sum();
                assert!(bytes <= size, "{bytes} in a file of {size}");
            }
        }
    });
}
