//! Opening and recognising a model's files. Only regular files are opened. Leaves their content to the readers of each
//! format.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use super::error::ModelFileError;

/// Opens a file, and returns it with its size in bytes. A pipe, a socket or a device is an error and is not opened,
/// because it may never end.
pub(super) fn open_file(path: &Path) -> Result<(File, u64), ModelFileError> {
    let at = |error| ModelFileError::io(path, error);
    let not_a_file = || ModelFileError::NotAFile { path: path.to_owned() };
    if !std::fs::metadata(path).map_err(at)?.is_file() {
        return Err(not_a_file());
    }
    // The path may have changed in the meantime; opening a pipe must not wait for its other end.
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(at)?;
    let metadata = file.metadata().map_err(at)?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(not_a_file())
    }
}

/// Returns whether the path exists; an error for a link to a missing file.
pub(super) fn is_there(path: &Path) -> Result<bool, ModelFileError> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => match ModelFileError::io(path, error) {
            ModelFileError::NotFound { .. } => Ok(false),
            other => Err(other),
        },
    }
}

/// Opens one of several files of a model. A missing file is a missing shard.
pub(super) fn open_shard(path: &Path) -> Result<(File, u64), ModelFileError> {
    open_file(path).map_err(|error| match error {
        ModelFileError::NotFound { path } => ModelFileError::MissingShard { path },
        other => other,
    })
}

/// Number of bytes from which a file is recognised.
const BEGINNING_BYTES: u64 = 512;

/// Reads the beginning of a file; `None` where it cannot be read.
fn beginning(path: &Path) -> Option<Vec<u8>> {
    let (file, _) = open_file(path).ok()?;
    let mut beginning = Vec::new();
    file.take(BEGINNING_BYTES).read_to_end(&mut beginning).ok()?;
    Some(beginning)
}

/// Returns the error, whose reason is replaced where the beginning of the file shows that it is something else.
pub(super) fn named(error: ModelFileError) -> ModelFileError {
    let ModelFileError::Malformed { path, .. } = &error else {
        return error;
    };
    let Some(beginning) = beginning(path) else {
        return error;
    };
    let of_another_format = || foreign(&beginning, path.extension().and_then(|extension| extension.to_str()));
    match recognised(&beginning).or_else(of_another_format) {
        Some(what) => ModelFileError::malformed(path, format!("it is {what}")),
        None => error,
    }
}

/// Returns what a file is that should be a pickle of a model, by its beginning; `None` where that shows nothing else.
pub(super) fn not_of_a_model(path: &Path) -> Option<&'static str> {
    let beginning = beginning(path)?;
    let is_pickle = matches!(beginning[..], [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..]);
    let is_zeros = !beginning.is_empty() && beginning.iter().all(|byte| *byte == 0);
    recognised(&beginning).filter(|_| !is_pickle && !is_zeros)
}

/// Returns what a file with this beginning is, where it is not a model's file; `None` where the beginning does not show
/// it.
fn recognised(beginning: &[u8]) -> Option<&'static str> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let text = beginning.strip_prefix(MARK).unwrap_or(beginning).trim_ascii_start();
    let begins = |with: &str| text.len() >= with.len() && text[..with.len()].eq_ignore_ascii_case(with.as_bytes());
    let is_page = ["<!doctype html", "<html", "<head", "<body"].into_iter().any(begins);
    Some(match beginning {
        _ if beginning.trim_ascii().is_empty() => "empty",
        _ if begins("version https://git-lfs") => {
            "a Git LFS pointer instead of the file that it stands for; `git lfs pull` fetches that"
        }
        _ if is_page => "an HTML page, perhaps what a site answered instead of the file",
        _ if begins("<?xml") || begins("<error") => "an XML document, perhaps what a site answered instead of the file",
        [b'G', b'G', b'U', b'F', 0, 0, ..] => "a big-endian GGUF; accepted are little-endian ones",
        [b'g', b'g', b'j', b't', ..] | [b'l', b'm', b'g', b'g', ..] | [b't', b'j', b'g', b'g', ..] => {
            "a GGML file from before GGUF; convert it"
        }
        [b'P', b'K', 3, 4, ..] => "a ZIP archive, as PyTorch writes its own files; convert it to safetensors",
        [0x80, 2..=5, ..] => "a Python pickle; convert it to safetensors",
        [0x1f, 0x8b, ..] => "compressed by gzip; unpack it",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed by zstd; unpack it",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file, as Keras writes it; convert it to safetensors",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "text in UTF-16; save it as UTF-8",
        [0xef, 0xbb, 0xbf, ..] => "text behind a byte order mark; save it as UTF-8 without one",
        _ if !beginning.is_empty() && beginning.iter().all(|byte| *byte == 0) => {
            "nothing but zeros, as an interrupted download leaves it"
        }
        _ => return None,
    })
}

/// Returns which format a file has, where its extension is that of another one; `None` otherwise.
fn foreign(beginning: &[u8], ending: Option<&str>) -> Option<&'static str> {
    let (own, what) = match beginning {
        [b'G', b'G', b'U', b'F', ..] => ("gguf", "a GGUF file under another name; its ending is .gguf"),
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => (
            "safetensors",
            "a safetensors file under another name; its ending is .safetensors",
        ),
        [b'{', ..] => ("json", "JSON text under another name"),
        _ => return None,
    };
    (!ending.is_some_and(|ending| ending.eq_ignore_ascii_case(own))).then_some(what)
}

#[cfg(test)]
mod tests {
    use super::{foreign, recognised};

    #[test]
    fn what_is_no_model_file_is_known_by_its_beginning() {
        for (beginning, words) in [
            (
                &b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"[..],
                "Git LFS pointer",
            ),
            (b"\n <!DOCTYPE html>\n<html>", "HTML page"),
            (b"<?xml version='1.0'?><Error>", "XML"),
            (b"GGUF\0\0\0\x03", "big-endian"),
            (b"PK\x03\x04....", "ZIP"),
            (b"\xef\xbb\xbf{}", "byte order mark"),
            (b"\xff\xfe{\0}\0", "UTF-16"),
            (b"\0\0\0\0\0\0\0\0\0\0", "zeros"),
            (b"", "empty"),
            (b" \n", "empty"),
        ] {
            assert!(
                recognised(beginning).is_some_and(|what| what.contains(words)),
                "{words}"
            );
        }
        assert_eq!(recognised(b"\x12\x34\x56"), None);
        assert_eq!(foreign(b"GGUF\x03\0\0\0", Some("GGUF")), None);
        assert!(foreign(b"GGUF\x03\0\0\0", Some("safetensors")).is_some());
        assert!(foreign(b"{}", Some("gguf")).is_some());
    }
}
