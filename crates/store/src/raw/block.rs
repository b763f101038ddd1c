//! Numbers in columns. A block is a byte that names this form, then a raw deflate stream (RFC 1951) of its columns one
//! after the other. Pure; what another program damaged is an error and never a panic.
//!
//! A column of whole numbers is how many there are, then for each how far it is from what the column's `Shape` foretells,
//! zigzag and in base 128 as Protocol Buffers writes it: near misses take one byte, and deflate takes most of that.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

const FORM: u8 = 1;
/// A block holds some thousands of points of some tens of bytes; beyond this it is damaged or hostile.
const MAX_BYTES: u64 = 256 << 20;

/// How the numbers of a column go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each for itself.
    Plain,
    /// Near the one before.
    Drifting,
    /// As far from the one before as that from its own.
    Ticking,
}

#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn finish(self) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(vec![FORM], Compression::best());
        let written = encoder.write_all(&self.0).and_then(|()| encoder.finish());
        written.expect("writing to memory does not fail")
    }

    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn numbers(&mut self, shape: Shape, values: impl ExactSizeIterator<Item = i64>) {
        self.unsigned(values.len() as u64);
        let mut foretold = Foretold::default();
        for value in values {
            let miss = value.wrapping_sub(foretold.next(shape));
            self.unsigned(((miss << 1) ^ (miss >> 63)) as u64);
            foretold.was(value);
        }
    }

    /// Runs of unknown and of known ones by their lengths, then those that are known.
    pub fn optional(&mut self, shape: Shape, values: impl Iterator<Item = Option<i64>>) {
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
        self.numbers(Shape::Plain, runs.into_iter());
        self.numbers(shape, known.into_iter());
    }

    /// Floats without loss: as whole numbers of the first of `scales` at which all of them read back the same, as their
    /// bits where none does.
    pub fn floats(&mut self, shape: Shape, values: &[f64], scales: &[f64]) {
        let whole = |value: f64, scale: f64| (value * scale).round() as i64;
        let exact = |scale: f64| {
            let same = |value: &f64| (whole(*value, scale) as f64 / scale).to_bits() == value.to_bits();
            values.iter().all(same)
        };
        let found = scales.iter().position(|&scale| exact(scale));
        self.unsigned(found.map_or(0, |index| index as u64 + 1));
        match found {
            Some(index) => self.numbers(shape, values.iter().map(|&value| whole(value, scales[index]))),
            None => self.numbers(shape, values.iter().map(|value| value.to_bits() as i64)),
        }
    }

    /// The different ones once, then which of them each is.
    pub fn texts(&mut self, values: impl ExactSizeIterator<Item = String>) {
        let mut different: Vec<String> = Vec::new();
        let which = values.map(|value| {
            let known = different.iter().position(|text| *text == value);
            known.unwrap_or_else(|| {
                different.push(value);
                different.len() - 1
            }) as i64
        });
        let which = which.collect::<Vec<_>>();
        self.unsigned(different.len() as u64);
        for text in different {
            self.unsigned(text.len() as u64);
            self.0.extend(text.as_bytes());
        }
        self.numbers(Shape::Drifting, which.into_iter());
    }
}

/// What is wrong with a block.
pub type Damage = String;

#[derive(Debug)]
pub struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    pub fn new(block: &[u8]) -> Result<Self, Damage> {
        let compressed = match block.split_first() {
            Some((&FORM, compressed)) => compressed,
            Some((form, _)) => return Err(format!("its form is {form}, known is {FORM}")),
            None => return Err("it is empty".to_owned()),
        };
        let mut bytes = Vec::new();
        let mut decoder = DeflateDecoder::new(compressed).take(MAX_BYTES);
        decoder.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(Self { bytes, at: 0 })
    }

    /// Returns whether all columns were read: a block of an earlier version has fewer.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn byte(&mut self) -> Result<u8, Damage> {
        let byte = self.bytes.get(self.at).copied().ok_or("it ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    fn unsigned(&mut self) -> Result<u64, Damage> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number in it has no end".to_owned())
    }

    /// Never more than bytes are left: each thing that is counted takes one at least.
    fn count(&mut self) -> Result<usize, Damage> {
        let (count, left) = (self.unsigned()?, self.bytes.len() - self.at);
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= left)
            .ok_or_else(|| "it ends too early".to_owned())
    }

    pub fn numbers(&mut self, shape: Shape) -> Result<Vec<i64>, Damage> {
        let count = self.count()?;
        let mut foretold = Foretold::default();
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let coded = self.unsigned()?;
            let miss = (coded >> 1) as i64 ^ -((coded & 1) as i64);
            let value = foretold.next(shape).wrapping_add(miss);
            foretold.was(value);
            values.push(value);
        }
        Ok(values)
    }

    /// `points` in all, as many as the block's first column has.
    pub fn optional(&mut self, shape: Shape, points: usize) -> Result<Vec<Option<i64>>, Damage> {
        let runs = self.numbers(Shape::Plain)?;
        let mut known = self.numbers(shape)?.into_iter();
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

    pub fn floats(&mut self, shape: Shape, scales: &[f64]) -> Result<Vec<f64>, Damage> {
        let which = self.unsigned()? as usize;
        let numbers = self.numbers(shape)?.into_iter();
        if which == 0 {
            return Ok(numbers.map(|bits| f64::from_bits(bits as u64)).collect());
        }
        let scale = scales.get(which - 1).ok_or("its scale is unknown")?;
        Ok(numbers.map(|number| number as f64 / scale).collect())
    }

    pub fn texts(&mut self, points: usize) -> Result<Vec<String>, Damage> {
        let mut different = Vec::new();
        for _ in 0..self.count()? {
            let length = self.count()?;
            let text = self.bytes[self.at..self.at + length].to_vec();
            self.at += length;
            different.push(String::from_utf8(text).map_err(|error| error.to_string())?);
        }
        let which = self.numbers(Shape::Drifting)?.into_iter();
        let found = which.map(|which| {
            usize::try_from(which)
                .ok()
                .and_then(|which| different.get(which).cloned())
        });
        let texts = found.collect::<Option<Vec<_>>>().ok_or("a text in it is not there")?;
        of_length(texts, points)
    }
}

pub fn of_length<T>(values: Vec<T>, points: usize) -> Result<Vec<T>, Damage> {
    if values.len() == points {
        Ok(values)
    } else {
        Err(format!("a column has {} values, expected are {points}", values.len()))
    }
}

#[derive(Default)]
struct Foretold {
    last: i64,
    step: i64,
}

impl Foretold {
    fn next(&self, shape: Shape) -> i64 {
        match shape {
            Shape::Plain => 0,
            Shape::Drifting => self.last,
            Shape::Ticking => self.last.wrapping_add(self.step),
        }
    }

    fn was(&mut self, value: i64) {
        self.step = value.wrapping_sub(self.last);
        self.last = value;
    }
}

#[cfg(test)]
mod tests;
