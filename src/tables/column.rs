//! Columns of tables, and constructors for each type of value.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// A column of a table with rows of type `R`. The name includes the unit.
pub struct Column<R> {
    pub name: Cow<'static, str>,
    /// Description with the unit and the origin.
    pub about: Cow<'static, str>,
    pub values: Values<R>,
}

/// Function that reads a cell from a row, by the type of the column. `None` is an unknown value, which is never written
/// as 0.
pub enum Values<R> {
    Text(TextCell<R>),
    /// A JSON document, written as text in formats without documents.
    Json(Cell<R, Value>),
    /// A time with a precision of microseconds.
    Time(Cell<R, Timestamp>),
    Bool(Cell<R, bool>),
    Count(Cell<R, u64>),
    Whole(Cell<R, i64>),
    Number(Cell<R, f64>),
}

/// Borrows the text from the row if possible.
type TextCell<R> = Box<dyn for<'a> Fn(&'a R) -> Option<Cow<'a, str>> + Send + Sync>;
type Cell<R, T> = Box<dyn Fn(&R) -> Option<T> + Send + Sync>;

/// Creates a column of texts.
pub fn text<R: 'static>(
    name: &'static str,
    about: &'static str,
    of: for<'a> fn(&'a R) -> Option<Cow<'a, str>>,
) -> Column<R> {
    column(name, about, Values::Text(Box::new(of)))
}

/// Creates a column of JSON documents.
pub fn json<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<Value>) -> Column<R> {
    column(name, about, Values::Json(Box::new(of)))
}

/// Creates a column of times.
pub fn time<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<Timestamp>) -> Column<R> {
    column(name, about, Values::Time(Box::new(of)))
}

/// Creates a column of booleans.
pub fn boolean<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<bool>) -> Column<R> {
    column(name, about, Values::Bool(Box::new(of)))
}

/// Creates a column of unsigned integers.
pub fn count<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<u64>) -> Column<R> {
    column(name, about, Values::Count(Box::new(of)))
}

/// Creates a column of signed integers.
pub fn whole<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<i64>) -> Column<R> {
    column(name, about, Values::Whole(Box::new(of)))
}

/// Creates a column of floating-point numbers.
pub fn number<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<f64>) -> Column<R> {
    column(name, about, Values::Number(Box::new(of)))
}

/// Creates a column.
pub fn column<R>(
    name: impl Into<Cow<'static, str>>,
    about: impl Into<Cow<'static, str>>,
    values: Values<R>,
) -> Column<R> {
    Column {
        name: name.into(),
        about: about.into(),
        values,
    }
}

/// Borrows a text from the row.
pub fn held(text: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(text))
}

/// Returns the word that the API uses for a value; `None` when it is not a word.
pub fn word(value: impl Serialize) -> Option<Cow<'static, str>> {
    match serde_json::to_value(value).ok()? {
        Value::String(word) => Some(Cow::Owned(word)),
        _ => None,
    }
}

/// Returns the words of several values, joined by `+`; `None` when there are none.
pub fn words<T: Serialize>(values: &[T]) -> Option<Cow<'static, str>> {
    let words = values.iter().filter_map(word).collect::<Vec<_>>();
    (!words.is_empty()).then(|| Cow::Owned(words.join("+")))
}

/// Returns a value as a JSON document.
pub fn document(value: impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok()
}
