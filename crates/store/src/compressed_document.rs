//! A document as a raw deflate stream (RFC 1951): a report is mostly the same words, and takes a quarter of its text. A
//! million of them then fit in memory beside their indexes, and one is read as fast as out of a thousand.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

pub fn pack(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

/// # Errors
/// When it is no such stream, or not of text.
pub fn unpack(packed: &[u8]) -> std::io::Result<String> {
    let mut text = String::new();
    DeflateDecoder::new(packed).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_reads_back(text in "\\PC{0,300}") {
            prop_assert_eq!(unpack(&pack(&text)).unwrap(), text);
        }

        #[test]
        fn damage_is_an_error_and_never_a_panic(bytes in any::<Vec<u8>>()) {
            let _ = unpack(&bytes);
        }
    }
}
