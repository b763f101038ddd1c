//! The header of a GGUF file: metadata and tensor infos, after
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
//!
//! candle's reader allocates the lengths that a header claims before it checks them against the size of the file, so a
//! malicious file could exhaust the service's memory. This reader allocates only what the file can contain, skips
//! vocabularies, and reads tensor types that candle rejects.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind::UnexpectedEof, Read, Seek};

use self::source::Source;
use super::error::{HeaderError, refuse};
use super::ggml_type;
use crate::{MetadataValue, TensorInfo};

/// Metadata and tensors of a GGUF file.
#[derive(Debug)]
pub(super) struct GgufHeader {
    pub metadata: BTreeMap<String, MetadataValue>,
    pub tensors: Vec<TensorInfo>,
}

const MAGIC: &[u8; 4] = b"GGUF";
/// Maximum number of tensors. A model of 200 layers with 512 experts, each matrix a separate tensor, has 300,000.
const MAX_TENSORS: u64 = 1 << 20;
const MAX_KEYS: u64 = 1 << 12;
/// Maximum size of a header. Vocabularies of 256,000 words with merges and scores take 15 MB.
const MAX_HEADER_BYTES: u64 = 1 << 28;
/// Maximum length of a text. Chat templates are the longest texts, up to 100 kB.
const MAX_TEXT_BYTES: u64 = 1 << 24;
/// Maximum number of dimensions; GGML has 4.
const MAX_DIMENSIONS: u32 = 8;
const MAX_NESTING: u32 = 4;
/// Maximum length of a list that is stored. Longer lists are vocabularies; lists with one value for each layer are
/// shorter.
const MAX_KEPT_LIST: u64 = 1024;
const DEFAULT_ALIGNMENT: u64 = 32;

/// Reads the header of a file of `file_bytes` bytes, and checks that the tensors it declares fit into the file.
pub(super) fn read_header<R: Read + Seek>(reader: R, file_bytes: u64) -> Result<GgufHeader, HeaderError> {
    match read_within_limit(reader, file_bytes) {
        Err(HeaderError::Io(error)) if error.kind() == UnexpectedEof && file_bytes > MAX_HEADER_BYTES => refuse(
            format!("its header has more than {MAX_HEADER_BYTES} bytes; accepted are at most as many"),
        ),
        read => read,
    }
}

/// Reads the header within the maximum size of a header.
fn read_within_limit<R: Read + Seek>(reader: R, file_bytes: u64) -> Result<GgufHeader, HeaderError> {
    let mut source = Source::new(reader, file_bytes.min(MAX_HEADER_BYTES));
    if &source.bytes::<4>()? != MAGIC {
        return refuse("it does not begin with `GGUF`");
    }
    match source.u32()? {
        2 | 3 => {}
        version if matches!(version.swap_bytes(), 1..=3) => {
            let reason = "it is a big-endian GGUF; accepted are the versions 2 and 3, little-endian";
            return Err(HeaderError::Unsupported(reason.to_owned()));
        }
        version => {
            let reason = format!("its GGUF version is {version}; accepted are 2 and 3, little-endian");
            return Err(HeaderError::Unsupported(reason));
        }
    }
    let tensor_count = limited("tensors", source.u64()?, MAX_TENSORS)?;
    let key_count = limited("metadata keys", source.u64()?, MAX_KEYS)?;
    let metadata = read_metadata(&mut source, key_count)?;
    let (tensors, data_bytes) = read_tensors(&mut source, tensor_count)?;
    let alignment = match metadata.get("general.alignment") {
        None => DEFAULT_ALIGNMENT,
        Some(value) => match value.as_count() {
            Some(alignment) if alignment.is_power_of_two() && alignment <= 1 << 20 => alignment,
            _ => return refuse(format!("its alignment is {value}; accepted are powers of two")),
        },
    };
    let data_start = source.position().next_multiple_of(alignment);
    let available = file_bytes.saturating_sub(data_start);
    if data_bytes > available {
        return refuse(format!(
            "its tensors need {data_bytes} bytes, the file has {available} for them"
        ));
    }
    Ok(GgufHeader { metadata, tensors })
}

/// Returns a count, or an error where it exceeds the maximum.
fn limited(what: &str, count: u64, max: u64) -> Result<u64, HeaderError> {
    if count > max {
        return refuse(format!("it claims {count} {what}; accepted are at most {max}"));
    }
    Ok(count)
}

/// Reads the metadata.
fn read_metadata<R: Read + Seek>(
    source: &mut Source<R>,
    key_count: u64,
) -> Result<BTreeMap<String, MetadataValue>, HeaderError> {
    let mut metadata = BTreeMap::new();
    for _ in 0..key_count {
        let key = source.text(MAX_TEXT_BYTES)?;
        let kind = source.u32()?;
        let value = read_value(source, kind, 0)?;
        if metadata.insert(key.clone(), value).is_some() {
            return refuse(format!("it holds the key `{key}` twice"));
        }
    }
    Ok(metadata)
}

/// Reads a value of metadata.
fn read_value<R: Read + Seek>(source: &mut Source<R>, kind: u32, depth: u32) -> Result<MetadataValue, HeaderError> {
    Ok(match kind {
        0 => MetadataValue::Unsigned(u8::from_le_bytes(source.bytes()?).into()),
        1 => MetadataValue::Signed(i8::from_le_bytes(source.bytes()?).into()),
        2 => MetadataValue::Unsigned(u16::from_le_bytes(source.bytes()?).into()),
        3 => MetadataValue::Signed(i16::from_le_bytes(source.bytes()?).into()),
        4 => MetadataValue::Unsigned(source.u32()?.into()),
        5 => MetadataValue::Signed(i32::from_le_bytes(source.bytes()?).into()),
        6 => MetadataValue::Float(f32::from_le_bytes(source.bytes()?).into()),
        7 => MetadataValue::Bool(source.bytes::<1>()? != [0]),
        8 => MetadataValue::Text(source.text(MAX_TEXT_BYTES)?),
        9 => read_list(source, depth + 1)?,
        10 => MetadataValue::Unsigned(source.u64()?),
        11 => MetadataValue::Signed(i64::from_le_bytes(source.bytes()?)),
        12 => MetadataValue::Float(f64::from_le_bytes(source.bytes()?)),
        other => return refuse(format!("it holds a value of the unknown type {other}")),
    })
}

/// Reads a list, of which long ones are skipped.
fn read_list<R: Read + Seek>(source: &mut Source<R>, depth: u32) -> Result<MetadataValue, HeaderError> {
    if depth > MAX_NESTING {
        return refuse(format!("its lists are nested more than {MAX_NESTING} deep"));
    }
    let kind = source.u32()?;
    let len = source.u64()?;
    let smallest = fixed_bytes(kind).unwrap_or(8);
    if len.checked_mul(smallest).is_none_or(|bytes| bytes > source.remaining()) {
        return refuse(format!("it claims a list of {len} values, more than the file holds"));
    }
    if len <= MAX_KEPT_LIST && depth == 1 {
        let items: Result<Vec<_>, _> = (0..len).map(|_| read_value(source, kind, depth)).collect();
        return Ok(MetadataValue::List(items?));
    }
    match fixed_bytes(kind) {
        Some(bytes) => source.skip(len * bytes)?,
        None if kind == 8 => {
            for _ in 0..len {
                source.skip_text()?;
            }
        }
        None => {
            for _ in 0..len {
                read_value(source, kind, depth)?;
            }
        }
    }
    Ok(MetadataValue::LongList(len))
}

/// Returns the size of a type in bytes; `None` for texts and lists.
fn fixed_bytes(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Reads the tensors, and returns them with the number of bytes from the beginning of the first to the end of the last.
fn read_tensors<R: Read + Seek>(source: &mut Source<R>, count: u64) -> Result<(Vec<TensorInfo>, u64), HeaderError> {
    let mut tensors = Vec::new();
    let mut names = BTreeSet::new();
    let mut data_bytes = 0;
    for _ in 0..count {
        let name = source.text(MAX_TEXT_BYTES)?;
        let dimensions = source.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return refuse(format!(
                "tensor `{name}` has {dimensions} dimensions; accepted are at most {MAX_DIMENSIONS}"
            ));
        }
        let mut shape = (0..dimensions).map(|_| source.u64()).collect::<Result<Vec<_>, _>>()?;
        // GGUF writes the fastest dimension first.
        shape.reverse();
        let type_id = source.u32()?;
        let offset = source.u64()?;
        let Some(ggml_type) = ggml_type::by_id(type_id) else {
            return Err(HeaderError::Unsupported(format!(
                "tensor `{name}` has the unknown type {type_id}"
            )));
        };
        let bytes = shape
            .iter()
            .try_fold(1_u64, |product, dimension| product.checked_mul(*dimension))
            .filter(|elements| elements % ggml_type.block_elements == 0)
            .and_then(|elements| (elements / ggml_type.block_elements).checked_mul(ggml_type.block_bytes));
        let end = bytes.and_then(|bytes| offset.checked_add(bytes));
        let (Some(bytes), Some(end)) = (bytes, end) else {
            return refuse(format!(
                "tensor `{name}` has the impossible shape {shape:?} for {}",
                ggml_type.name
            ));
        };
        if !names.insert(name.clone()) {
            return refuse(format!("it holds the tensor `{name}` twice"));
        }
        data_bytes = end.max(data_bytes);
        tensors.push(TensorInfo {
            name,
            shape,
            dtype: ggml_type.name.to_owned(),
            bytes,
        });
    }
    Ok((tensors, data_bytes))
}

#[cfg(test)]
mod tests;
