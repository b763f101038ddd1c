mod header;

use std::io::Read;

use self::header::{Entry, Header, Offsets};
use super::error::{HeaderError, refuse};
use crate::TensorInfo;

/// Maximum size of a header by the format.
const MAX_HEADER_BYTES: u64 = 100_000_000;
const LENGTH_BYTES: u64 = 8;

/// Reads the header of a safetensors file of `file_bytes` bytes (eight bytes of length, little-endian, then JSON).
/// Checks that its tensors fill the rest of the file without gaps or overlaps, as the format requires.
pub(super) fn read_header<R: Read>(mut reader: R, file_bytes: u64) -> Result<Vec<TensorInfo>, HeaderError> {
    let mut length = [0; LENGTH_BYTES as usize];
    reader.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let available = file_bytes.saturating_sub(LENGTH_BYTES);
    if length > MAX_HEADER_BYTES && length <= available {
        return refuse(format!(
            "its header has {length} bytes; accepted are at most {MAX_HEADER_BYTES}, the format's own limit"
        ));
    }
    if length > available {
        return refuse(format!(
            "it claims a header of {length} bytes; the file has {available} for it"
        ));
    }
    let mut header = vec![0; length as usize];
    reader.read_exact(&mut header)?;
    let header: Header = match serde_json::from_slice(&header) {
        Ok(header) => header,
        Err(error) => return refuse(format!("its header is not a table of tensors: {error}")),
    };
    let read = header.tensors.iter().map(|(name, entry)| tensor(name, entry));
    let mut tensors = read.collect::<Result<Vec<_>, _>>()?;
    tensors.sort_by_key(|(begin, tensor)| (*begin, tensor.bytes));
    let mut end: u64 = 0;
    for (begin, tensor) in &tensors {
        if *begin != end {
            return refuse(format!("tensor `{}` begins at {begin} instead of {end}", tensor.name));
        }
        end = end.saturating_add(tensor.bytes);
    }
    let data_bytes = available - length;
    if end != data_bytes {
        return refuse(format!(
            "its tensors need {end} bytes, the file has {data_bytes} for them"
        ));
    }
    Ok(tensors.into_iter().map(|(_, tensor)| tensor).collect())
}

/// Returns a tensor with the offset of its data, or an error where its size does not fit its shape.
fn tensor(name: &str, entry: &Entry) -> Result<(u64, TensorInfo), HeaderError> {
    let Entry {
        dtype,
        shape,
        data_offsets: Offsets([begin, end]),
    } = entry;
    let Some(bits) = bits(dtype) else {
        return Err(HeaderError::Unsupported(format!(
            "tensor `{name}` has the unknown type {dtype}"
        )));
    };
    let expected = shape
        .0
        .iter()
        .try_fold(bits, |product, dimension| product.checked_mul(*dimension));
    let bytes = end
        .checked_sub(*begin)
        .filter(|bytes| expected.map(|bits| bits.div_ceil(8)) == Some(*bytes));
    let Some(bytes) = bytes else {
        return refuse(format!(
            "tensor `{name}` has the offsets {begin} to {end}, which is not {dtype} {:?}",
            shape.0
        ));
    };
    Ok((
        *begin,
        TensorInfo {
            name: name.to_owned(),
            shape: shape.0.clone(),
            dtype: dtype.clone(),
            bytes,
        },
    ))
}

/// Returns the bits of an element; `None` for an unknown type.
fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::read_header;
    use crate::TensorInfo;
    use crate::model_files::error::HeaderError;

    const HEADER: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}"#;

    fn file(header: &str, data_bytes: usize) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [length.as_slice(), header.as_bytes(), &vec![0; data_bytes]].concat()
    }

    fn read(bytes: &[u8]) -> Result<Vec<TensorInfo>, HeaderError> {
        read_header(bytes, bytes.len() as u64)
    }

    #[test]
    fn tensors_come_in_the_order_of_their_bytes() {
        let tensors = read(&file(HEADER, 20)).unwrap();
        assert_eq!(
            tensors[0],
            TensorInfo {
                name: "a".into(),
                shape: vec![2, 3],
                dtype: "BF16".into(),
                bytes: 12
            }
        );
        assert_eq!(tensors[1].bytes, 8);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let bytes = file(HEADER, 20);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn hostile_headers_are_refused_with_a_reason() {
        let one = |body: &str| file(&format!(r#"{{"a":{body}}}"#), 4);
        for (bytes, reason) in [
            (u64::MAX.to_le_bytes().to_vec(), "claims a header"),
            (file("[]", 0), "table of tensors"),
            (one(r#"{"dtype":"F32","shape":[1]}"#), "data_offsets"),
            (
                one(r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#),
                "tensor `a`: invalid type: integer `-1`, expected a whole number from 0 on",
            ),
            (
                one(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}"#),
                "data_offsets has 3 numbers",
            ),
            (one("7"), "expected an object with dtype"),
            (
                one(r#"{"dtype":"F32","shape":"x","data_offsets":[0,4]}"#),
                "a list of dimensions",
            ),
            (
                one(r#"{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}"#),
                "at most 8",
            ),
            (
                file(
                    r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
                    2,
                ),
                "`a` twice",
            ),
            (
                one(r#"{"dtype":"Z9","shape":[1],"data_offsets":[0,4]}"#),
                "unknown type Z9",
            ),
            (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,0]}"#), "offsets"),
            (
                one(r#"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}"#),
                "offsets",
            ),
            (
                one(r#"{"dtype":"F32","shape":[1],"data_offsets":[1,5]}"#),
                "begins at 1",
            ),
            (file(HEADER, 21), "need 20 bytes, the file has 21"),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_header_never_panics(flips in proptest::collection::vec((0..200_usize, any::<u8>()), 1..10)) {
            let mut bytes = file(HEADER, 20);
            for (position, value) in flips {
                let position = position % bytes.len();
                bytes[position] = value;
            }
            let _outcome = read(&bytes);
        }

        #[test]
        fn any_json_is_read_or_refused(body in r#"[\[\]{}:,"a0-9.e-]{0,60}"#, data in 0..30_usize) {
            let _outcome = read(&file(&body, data));
            let _outcome = read(&file(&format!(r#"{{"a":{{"dtype":"F32","shape":[{body}],"data_offsets":[0,4]}}}}"#), data));
        }
    }
}
