use std::fmt;

/// A value of GGUF metadata. Integers of every width arrive as `Unsigned` or `Signed`.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataValue {
    /// An integer of a type without a sign.
    Unsigned(u64),
    /// An integer of a type with a sign.
    Signed(i64),
    /// A number of 32 or 64 bits.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text; bytes that are not UTF-8 are replaced.
    Text(String),
    /// A short list.
    List(Vec<MetadataValue>),
    /// A list too long to hold in memory (a vocabulary): only its length is known.
    LongList(u64),
}

impl MetadataValue {
    /// Returns the value as a count; `None` unless it is an integer that is not negative.
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
