/// A value of GGUF metadata. Integers of every width arrive as `Unsigned` or `Signed`.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataValue {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    List(Vec<MetadataValue>),
    /// A list too long to keep (a vocabulary): only its length is known.
    LongList(u64),
}

impl MetadataValue {
    /// The value as a count, if it is an integer that is not negative.
    pub fn as_count(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Number of elements of a list, kept or not.
    pub fn list_len(&self) -> Option<u64> {
        match self {
            Self::List(items) => Some(items.len() as u64),
            Self::LongList(len) => Some(*len),
            _ => None,
        }
    }
}
