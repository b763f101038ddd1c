//! The format of a block of columns: one byte for the version of the format, then a raw deflate stream (RFC 1951) of
//! the columns one after the other. Does no I/O. Damaged input returns an error and never panics.
//!
//! A column of whole numbers is their count, followed for each number by its difference from the prediction of the
//! column's `Encoding`, as a zigzag varint (as in Protocol Buffers). Small differences take one byte, which deflate
//! shrinks further.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// The version of the format.
const FORMAT_VERSION: u8 = 1;
/// Maximum size after decompression. A block holds some thousands of points of some tens of bytes each.
const MAX_BYTES: u64 = 256 << 20;

/// The encoding of a column, by the regularity of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Each number as it is.
    Plain,
    /// Delta: the difference between this number and the previous one.
    Delta,
    /// Delta of deltas: the difference between this interval and the previous one.
    DeltaOfDeltas,
}

/// A block under construction.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Returns the compressed block.
    pub fn finish(self) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(vec![FORMAT_VERSION], Compression::best());
        let written = encoder.write_all(&self.0).and_then(|()| encoder.finish());
        written.expect("writing to memory does not fail")
    }

    /// Appends a varint.
    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Appends a column of whole numbers.
    pub fn numbers(&mut self, encoding: Encoding, values: impl ExactSizeIterator<Item = i64>) {
        self.unsigned(values.len() as u64);
        let mut prediction = Prediction::default();
        for value in values {
            let difference = value.wrapping_sub(prediction.predict(encoding));
            self.unsigned(((difference << 1) ^ (difference >> 63)) as u64);
            prediction.update(value);
        }
    }

    /// Appends a column of numbers of which some are unknown: the lengths of alternating runs of unknown and known
    /// numbers, then the known numbers.
    pub fn optional(&mut self, encoding: Encoding, values: impl Iterator<Item = Option<i64>>) {
        let (mut runs, mut known) = (Vec::new(), Vec::new());
        let mut expected = false;
        runs.push(0);
        for value in values {
            if value.is_some() != expected {
                runs.push(0);
                expected = !expected;
            }
            *runs.last_mut().expect("there is always one") += 1;
            known.extend(value);
        }
        self.numbers(Encoding::Plain, runs.into_iter());
        self.numbers(encoding, known.into_iter());
    }

    /// Appends a column of floats without loss: as whole numbers at the first of `scales` at which every float reads
    /// back exactly, or as their bits when there is no such scale.
    pub fn floats(&mut self, encoding: Encoding, values: &[f64], scales: &[f64]) {
        let whole = |value: f64, scale: f64| (value * scale).round() as i64;
        let exact = |scale: f64| {
            let same = |value: &f64| (whole(*value, scale) as f64 / scale).to_bits() == value.to_bits();
            values.iter().all(same)
        };
        let found = scales.iter().position(|&scale| exact(scale));
        self.unsigned(found.map_or(0, |index| index as u64 + 1));
        match found {
            Some(index) => self.numbers(encoding, values.iter().map(|&value| whole(value, scales[index]))),
            None => self.numbers(encoding, values.iter().map(|value| value.to_bits() as i64)),
        }
    }

    /// Appends a column of texts: each distinct text once, then the index of each value.
    pub fn texts(&mut self, values: impl ExactSizeIterator<Item = String>) {
        let mut distinct: Vec<String> = Vec::new();
        let which = values.map(|value| {
            let known = distinct.iter().position(|text| *text == value);
            known.unwrap_or_else(|| {
                distinct.push(value);
                distinct.len() - 1
            }) as i64
        });
        let which = which.collect::<Vec<_>>();
        self.unsigned(distinct.len() as u64);
        for text in distinct {
            self.unsigned(text.len() as u64);
            self.0.extend(text.as_bytes());
        }
        self.numbers(Encoding::Delta, which.into_iter());
    }
}

/// A description of what is wrong with a block.
pub type Damage = String;

/// A decompressed block and the position of the next column.
#[derive(Debug)]
pub struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    /// Decompresses a block.
    pub fn new(block: &[u8]) -> Result<Self, Damage> {
        let compressed = match block.split_first() {
            Some((&FORMAT_VERSION, compressed)) => compressed,
            Some((version, _)) => {
                return Err(format!(
                    "its format has version {version}, supported is {FORMAT_VERSION}"
                ));
            }
            None => return Err("it is empty".to_owned()),
        };
        let mut bytes = Vec::new();
        let mut decoder = DeflateDecoder::new(compressed).take(MAX_BYTES);
        decoder.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(Self { bytes, at: 0 })
    }

    /// Returns whether all columns were read; a block of an earlier version has fewer columns.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn byte(&mut self) -> Result<u8, Damage> {
        let byte = self.bytes.get(self.at).copied().ok_or("it ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    /// Reads a varint.
    fn unsigned(&mut self) -> Result<u64, Damage> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number in it is longer than 64 bits".to_owned())
    }

    /// Reads a count, which is at most the number of bytes left, since each counted element takes at least one byte.
    fn count(&mut self) -> Result<usize, Damage> {
        let (count, left) = (self.unsigned()?, self.bytes.len() - self.at);
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= left)
            .ok_or_else(|| "it ends too early".to_owned())
    }

    /// Reads a column of whole numbers.
    pub fn numbers(&mut self, encoding: Encoding) -> Result<Vec<i64>, Damage> {
        let count = self.count()?;
        let mut prediction = Prediction::default();
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let coded = self.unsigned()?;
            let difference = (coded >> 1) as i64 ^ -((coded & 1) as i64);
            let value = prediction.predict(encoding).wrapping_add(difference);
            prediction.update(value);
            values.push(value);
        }
        Ok(values)
    }

    /// Reads a column of `points` numbers of which some are unknown.
    pub fn optional(&mut self, encoding: Encoding, points: usize) -> Result<Vec<Option<i64>>, Damage> {
        let runs = self.numbers(Encoding::Plain)?;
        let mut known = self.numbers(encoding)?.into_iter();
        let mut values = Vec::with_capacity(points);
        for (index, run) in runs.into_iter().enumerate() {
            let run = usize::try_from(run).ok().filter(|&run| run <= points - values.len());
            for _ in 0..run.ok_or("a column is longer than the first")? {
                values.push(if index % 2 == 0 {
                    None
                } else {
                    Some(known.next().ok_or("a column is too short")?)
                });
            }
        }
        of_length(values, points)
    }

    /// Reads a column of floats that was written with the same `scales`.
    pub fn floats(&mut self, encoding: Encoding, scales: &[f64]) -> Result<Vec<f64>, Damage> {
        let which = self.unsigned()? as usize;
        let numbers = self.numbers(encoding)?.into_iter();
        if which == 0 {
            return Ok(numbers.map(|bits| f64::from_bits(bits as u64)).collect());
        }
        let scale = scales.get(which - 1).ok_or("its scale is unknown")?;
        Ok(numbers.map(|number| number as f64 / scale).collect())
    }

    /// Reads a column of `points` texts.
    pub fn texts(&mut self, points: usize) -> Result<Vec<String>, Damage> {
        let mut distinct = Vec::new();
        for _ in 0..self.count()? {
            let length = self.count()?;
            let text = self.bytes[self.at..self.at + length].to_vec();
            self.at += length;
            distinct.push(String::from_utf8(text).map_err(|error| error.to_string())?);
        }
        let which = self.numbers(Encoding::Delta)?.into_iter();
        let found = which.map(|which| {
            usize::try_from(which)
                .ok()
                .and_then(|which| distinct.get(which).cloned())
        });
        let texts = found
            .collect::<Option<Vec<_>>>()
            .ok_or("a text that it refers to is missing")?;
        of_length(texts, points)
    }
}

/// Returns the values when there are `points` of them, and an error otherwise.
pub fn of_length<T>(values: Vec<T>, points: usize) -> Result<Vec<T>, Damage> {
    if values.len() == points {
        Ok(values)
    } else {
        Err(format!("a column has {} values, expected are {points}", values.len()))
    }
}

/// The prediction of the next number of a column.
#[derive(Default)]
struct Prediction {
    last: i64,
    step: i64,
}

impl Prediction {
    /// Returns the predicted number.
    fn predict(&self, encoding: Encoding) -> i64 {
        match encoding {
            Encoding::Plain => 0,
            Encoding::Delta => self.last,
            Encoding::DeltaOfDeltas => self.last.wrapping_add(self.step),
        }
    }

    /// Updates the prediction with the actual number.
    fn update(&mut self, value: i64) {
        self.step = value.wrapping_sub(self.last);
        self.last = value;
    }
}

#[cfg(test)]
mod tests;
