//! The header's JSON, read into no more than it may hold: a tree of it could take ten times its bytes.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A model of 200 layers with 512 experts, each matrix a tensor of its own, has 300,000.
const MAX_TENSORS: usize = 1 << 20;
const MAX_DIMENSIONS: usize = 8;
/// What the format keeps beside the tensors.
const METADATA: &str = "__metadata__";

pub(super) struct Header {
    pub tensors: Vec<(String, Entry)>,
}

#[derive(serde::Deserialize)]
#[serde(expecting = "an object with dtype, shape and data_offsets")]
pub(super) struct Entry {
    pub dtype: String,
    pub shape: Shape,
    pub data_offsets: Offsets,
}

/// Where a tensor's data begin and end.
pub(super) struct Offsets(pub [u64; 2]);

/// A number of a shape or an offset.
struct Count(u64);

pub(super) struct Shape(pub Vec<u64>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut tensors = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if tensors.len() == MAX_TENSORS {
                return Err(A::Error::custom(format!("it has more than {MAX_TENSORS} tensors")));
            }
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("it holds the tensor `{name}` twice")));
            }
            let entry = map
                .next_value()
                .map_err(|error| A::Error::custom(format!("tensor `{name}`: {error}")))?;
            tensors.push((name, entry));
        }
        Ok(Header { tensors })
    }
}

impl<'de> Deserialize<'de> for Offsets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Shape(numbers) = deserializer.deserialize_seq(ShapeVisitor { what: "two offsets" })?;
        let offsets = <[u64; 2]>::try_from(numbers);
        offsets.map(Self).map_err(|numbers| {
            let length = numbers.len();
            D::Error::custom(format!("data_offsets has {length} numbers; accepted are two"))
        })
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(CountVisitor)
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = Count;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number from 0 on")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Count, E> {
        Ok(Count(number))
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor { what: "dimensions" })
    }
}

struct ShapeVisitor {
    /// The numbers of the list.
    what: &'static str,
}

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of {}", self.what)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        let mut shape = Vec::new();
        while let Some(Count(number)) = list.next_element()? {
            if shape.len() == MAX_DIMENSIONS {
                return Err(A::Error::custom(format!(
                    "it has more {} than at most {MAX_DIMENSIONS}",
                    self.what
                )));
            }
            shape.push(number);
        }
        Ok(Shape(shape))
    }
}
