//! Reads and writes the tar file, in the subset of POSIX ustar that a bundle needs. Every byte follows from names,
//! sizes and contents, so the reader can reject everything else: links, folders, other owners and times, and data after
//! the end.

use std::io::{self, Read};

use joulemark_measurement::quoted;
use thiserror::Error;

const BLOCK: usize = 512;
/// The two empty blocks at the end of a tar file.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
const NAME: usize = 100;
/// Size field of a header: eleven octal digits and a NUL.
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAX_SIZE: u64 = 0o777_7777_7777;
/// Maximum number of files, above all ranks in all cycles of the largest experiment so far.
const MAX_ENTRIES: u64 = 2_000_000;

/// Reason why a file is not a valid bundle.
#[derive(Debug, Error)]
pub enum Damage {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is compressed ({0}); accepted is an uncompressed tar, as the server returns it")]
    Compressed(&'static str),
    #[error("is malformed at byte {at}: {what}")]
    Malformed { at: u64, what: String },
    #[error("ends at byte {at}, {within}")]
    Truncated { at: u64, within: String },
    #[error("has more than {limit} bytes, the maximum that is read (--max-bytes)")]
    TooLarge { limit: u64 },
}

/// Returns the header of a file and the number of padding bytes after its content; `None` when its name or size does
/// not fit into a header.
pub fn entry(name: &str, size: u64) -> Option<([u8; BLOCK], usize)> {
    let header = header(name, size)?;
    Some((header, padding(size)))
}

fn padding(size: u64) -> usize {
    let over = (size % BLOCK as u64) as usize;
    if over == 0 { 0 } else { BLOCK - over }
}

fn header(name: &str, size: u64) -> Option<[u8; BLOCK]> {
    if name.is_empty() || name.len() >= NAME || size > MAX_SIZE {
        return None;
    }
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(SIZE.start, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(CHECKSUM.start, "        ");
    put(KIND, "0");
    put(257, "ustar\0");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(header)
}

/// Iterator over the files of a bundle, of which only one is in memory.
pub struct Entries<R> {
    reader: R,
    at: u64,
    limit: u64,
    count: u64,
}

impl<R: Read> Entries<R> {
    /// Creates an iterator that reads at most `limit` bytes.
    pub fn new(reader: R, limit: u64) -> Self {
        Self {
            reader,
            at: 0,
            limit,
            count: 0,
        }
    }

    /// Returns the next file with its name; `None` at the end.
    ///
    /// # Errors
    /// Returns a [`Damage`] with the position. Memory is allocated as content arrives, not by the size in a header.
    pub fn next(&mut self) -> Result<Option<(String, Vec<u8>)>, Damage> {
        let start = self.at;
        let block = self.take(BLOCK as u64, "where a file or the end is expected")?;
        if block.iter().all(|byte| *byte == 0) {
            self.end()?;
            return Ok(None);
        }
        let (name, size) = read_header(&block, start)?;
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(malformed(start, format!("there are more than {MAX_ENTRIES} files")));
        }
        if size > self.limit {
            return Err(Damage::TooLarge { limit: self.limit });
        }
        let content = self.take(size, &format!("within {name}"))?;
        let padding_at = self.at;
        let padding = self.take(padding(size) as u64, &format!("after {name}"))?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(malformed(padding_at, format!("the padding after {name} is not empty")));
        }
        Ok(Some((name, content)))
    }

    fn end(&mut self) -> Result<(), Damage> {
        let at = self.at;
        let second = self.take(BLOCK as u64, "within the end of the archive")?;
        if second.iter().any(|byte| *byte != 0) {
            return Err(malformed(at, "the end of the archive is not empty".to_owned()));
        }
        let mut more = [0; 1];
        match self.reader.read(&mut more)? {
            0 => Ok(()),
            _ => Err(malformed(
                self.at,
                "there is data after the end of the archive".to_owned(),
            )),
        }
    }

    fn take(&mut self, size: u64, within: &str) -> Result<Vec<u8>, Damage> {
        if self.at + size > self.limit {
            return Err(Damage::TooLarge { limit: self.limit });
        }
        let mut bytes = Vec::new();
        self.reader.by_ref().take(size).read_to_end(&mut bytes)?;
        self.at += bytes.len() as u64;
        if bytes.len() as u64 == size {
            Ok(bytes)
        } else {
            Err(Damage::Truncated {
                at: self.at,
                within: within.to_owned(),
            })
        }
    }
}

fn malformed(at: u64, what: String) -> Damage {
    Damage::Malformed { at, what }
}

/// Returns the name and size in a header, after checking that it is exactly as a bundle has it.
fn read_header(block: &[u8], at: u64) -> Result<(String, u64), Damage> {
    if at == 0 {
        for (magic, name) in [
            (&b"\x1f\x8b"[..], "gzip"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (b"BZh", "bzip2"),
            (b"\xfd7zXZ", "xz"),
            (b"PK\x03\x04", "zip"),
        ] {
            if block.starts_with(magic) {
                return Err(Damage::Compressed(name));
            }
        }
    }
    let refused = |what: String| Err(malformed(at, what));
    if &block[257..262] != b"ustar" {
        return refused("this is not a tar header".to_owned());
    }
    let name = block[..NAME].split(|byte| *byte == 0).next().unwrap_or_default();
    let Ok(name) = std::str::from_utf8(name).map(str::to_owned) else {
        return refused("the name is not UTF-8".to_owned());
    };
    let shown = quoted(&name).to_string();
    match block[KIND] {
        b'0' => {}
        b'1' | b'2' => return refused(format!("{shown} is a link; accepted are only files")),
        b'5' => return refused(format!("{shown} is a folder; accepted are only files")),
        other => {
            return refused(format!(
                "an entry has the kind {}; accepted are only files",
                quoted(&char::from(other).to_string())
            ));
        }
    }
    if name.starts_with('/')
        || name
            .split('/')
            .any(|part| part == ".." || part == "." || part.is_empty())
    {
        return refused(format!("the name {shown} leads out of its folder"));
    }
    let size = std::str::from_utf8(&block[SIZE]).ok();
    let size = size.and_then(|text| u64::from_str_radix(text.trim_end_matches('\0'), 8).ok());
    let Some(size) = size else {
        return refused(format!("the size of {shown} is not in octal digits"));
    };
    match header(&name, size) {
        Some(expected) if expected == block => Ok((name, size)),
        _ => refused(format!("the header of {shown} is not as a bundle has it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in files {
            let (header, padding) = entry(name, content.len() as u64).unwrap();
            bytes.extend_from_slice(&header);
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len() + padding, 0);
        }
        bytes.extend_from_slice(&END);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Damage> {
        let mut entries = Entries::new(bytes, 1 << 20);
        let mut found = Vec::new();
        while let Some(file) = entries.next()? {
            found.push(file);
        }
        Ok(found)
    }

    fn sealed(mut block: Vec<u8>) -> Vec<u8> {
        block[CHECKSUM].copy_from_slice(b"        ");
        let sum: u32 = block[..BLOCK].iter().map(|byte| u32::from(*byte)).sum();
        block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    #[test]
    fn written_files_are_read_again_and_a_change_of_any_byte_is_noticed() {
        let whole = tar(&[("x/a", b"hello"), ("x/b", &[7; 512]), ("x/c", b"")]);
        let found = read(&whole).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], ("x/a".to_owned(), b"hello".to_vec()));
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            match read(&changed) {
                Err(_) => {}
                // Changes of contents are noticed by their hashes.
                Ok(other) => assert!(other != found, "byte {at}"),
            }
        }
        for end in 0..whole.len() {
            read(&whole[..end]).expect_err("truncated");
        }
        read(&[&whole[..], b"x"].concat()).expect_err("data after the end");
    }

    #[test]
    fn hostile_archives_are_rejected_with_a_reason() {
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut block = tar(&[("x/a", b"")]);
            change(&mut block);
            read(&sealed(block)).unwrap_err().to_string()
        };
        let named = |name: &'static [u8]| {
            with(&move |block: &mut Vec<u8>| {
                block[..3].fill(0);
                block[..name.len()].copy_from_slice(name);
            })
        };
        assert!(named(b"../etc/passwd").contains("leads out"));
        assert!(named(b"/etc/passwd").contains("leads out"));
        assert!(named(b"x/../../y").contains("leads out"));
        assert!(with(&|block| block[KIND] = b'2').contains("is a link"));
        assert!(with(&|block| block[KIND] = b'L').contains("the kind"));
        let huge = with(&|block| block[SIZE].copy_from_slice(b"77777777777\0"));
        assert!(huge.contains("the maximum that is read"), "{huge}");
        let wide = with(&|block| block[SIZE].copy_from_slice(&[0xff; 12]));
        assert!(wide.contains("not in octal digits"), "{wide}");
        assert!(with(&|block| block[104] = b'7').contains("not as a bundle has it"));
        assert!(read(b"\x1f\x8b").unwrap_err().to_string().contains("ends at byte 2"));
        let packed = [b"\x1f\x8b".to_vec(), vec![0; 600]].concat();
        assert!(read(&packed).unwrap_err().to_string().contains("gzip"));
        assert!(read(&[1; 2048]).unwrap_err().to_string().contains("not a tar header"));
    }

    #[test]
    fn a_size_in_a_header_allocates_no_memory() {
        let (header, _) = entry("x/a", 1 << 32).unwrap();
        let damage = Entries::new(&header[..], 1 << 34).next().unwrap_err();
        assert!(matches!(damage, Damage::Truncated { .. }), "{damage}");
    }
}
