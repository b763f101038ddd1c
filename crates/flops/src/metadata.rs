use std::fmt;

/// A value of GGUF metadata. Integers of every width arrive as `Unsigned` or `Signed`.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataValue {
    /// Unsigned integer.
    Unsigned(u64),
    /// Signed integer.
    Signed(i64),
    /// Floating-point number of 32 or 64 bits.
    Float(f64),
    /// Boolean value.
    Bool(bool),
    /// Text; bytes that are not UTF-8 are replaced.
    Text(String),
    /// Short list.
    List(Vec<MetadataValue>),
    /// Length of a list that is too long to store, such as a vocabulary.
    LongList(u64),
}

impl MetadataValue {
    /// Returns the value as a count; `None` unless it is a non-negative integer.
    pub fn as_count(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// Returns the text; `None` for a value of another type.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number of elements of a list, long or short; `None` for a value of another type.
    pub fn list_len(&self) -> Option<u64> {
        match self {
            Self::List(items) => Some(items.len() as u64),
            Self::LongList(len) => Some(*len),
            _ => None,
        }
    }
}

impl fmt::Display for MetadataValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => write!(formatter, "{value}"),
            Self::Signed(value) => write!(formatter, "{value}"),
            Self::Float(value) => write!(formatter, "{value}"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Text(text) => write!(formatter, "the text `{text}`"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(formatter, "[{}]", items.join(", "))
            }
            Self::LongList(length) => write!(formatter, "a list of {length} values"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MetadataValue;

    #[test]
    fn a_value_is_written_as_a_reader_would() {
        let list = MetadataValue::List(vec![MetadataValue::Unsigned(8), MetadataValue::Signed(-1)]);
        for (value, text) in [
            (list, "[8, -1]"),
            (MetadataValue::Text("é\"".into()), "the text `é\"`"),
            (MetadataValue::Float(0.5), "0.5"),
            (MetadataValue::Bool(true), "true"),
            (MetadataValue::LongList(5000), "a list of 5000 values"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
