use std::io::{self, BufReader, Read, Seek};

use crate::model_files::error::{HeaderError, refuse};

/// A file that is read from its beginning with its position, so that a claimed length is checked before memory is
/// allocated for it.
pub(super) struct Source<R> {
    reader: BufReader<R>,
    position: u64,
    length: u64,
}

const BUFFER_BYTES: usize = 1 << 16;

impl<R: Read + Seek> Source<R> {
    /// Starts reading a file of `length` bytes.
    pub fn new(reader: R, length: u64) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            position: 0,
            length,
        }
    }

    /// Returns the number of bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the number of bytes left.
    pub fn remaining(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    /// Reads a fixed number of bytes.
    pub fn bytes<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        self.expect(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a 32-bit number, little-endian.
    pub fn u32(&mut self) -> Result<u32, HeaderError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    /// Reads a 64-bit number, little-endian.
    pub fn u64(&mut self) -> Result<u64, HeaderError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    /// Reads a text: a length and as many bytes. Bytes that are not UTF-8 are replaced, because vocabularies of real
    /// models contain them.
    pub fn text(&mut self, max_bytes: u64) -> Result<String, HeaderError> {
        let length = self.u64()?;
        if length > max_bytes {
            return refuse(format!(
                "it claims a text of {length} bytes; accepted are at most {max_bytes}"
            ));
        }
        self.expect(length)?;
        let mut text = vec![0; length as usize];
        self.reader.read_exact(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Skips a text.
    pub fn skip_text(&mut self) -> Result<(), HeaderError> {
        let length = self.u64()?;
        self.skip(length)
    }

    /// Skips bytes.
    pub fn skip(&mut self, bytes: u64) -> Result<(), HeaderError> {
        self.expect(bytes)?;
        let distance = i64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        self.reader.seek_relative(distance)?;
        Ok(())
    }

    /// Returns an error where fewer bytes are left.
    fn expect(&mut self, bytes: u64) -> Result<(), HeaderError> {
        if bytes > self.remaining() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        self.position += bytes;
        Ok(())
    }
}
