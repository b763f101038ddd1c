//! The header's JSON, parsed into bounded memory: a tree of values could take ten times its size.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Maximum number of tensors. A model of 200 layers with 512 experts, each matrix a separate tensor, has 300,000.
const MAX_TENSORS: usize = 1 << 20;
const MAX_DIMENSIONS: usize = 8;
/// Key of the format's metadata, which is not a tensor.
const METADATA: &str = "__metadata__";

/// Tensors of a header, in the file's order.
pub(super) struct Header {
    pub tensors: Vec<(String, Entry)>,
}

/// Type, shape and data of a tensor.
#[derive(serde::Deserialize)]
#[serde(expecting = "an object with dtype, shape and data_offsets")]
pub(super) struct Entry {
    pub dtype: String,
    pub shape: Shape,
    pub data_offsets: Offsets,
}

/// Beginning and end of a tensor's data.
pub(super) struct Offsets(pub [u64; 2]);

/// A number of a shape or an offset.
struct Count(u64);

/// Dimensions of a tensor.
pub(super) struct Shape(pub Vec<u64>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// Visitor of the header.
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

/// Visitor of a number.
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

/// Visitor of a list of numbers.
struct ShapeVisitor {
    /// Name of the numbers in the list.
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
