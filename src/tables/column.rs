use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// A column of a table whose rows are `R`. The name holds the unit.
pub struct Column<R> {
    pub name: Cow<'static, str>,
    /// What it is, its unit, and where it comes from.
    pub about: Cow<'static, str>,
    pub values: Values<R>,
}

/// How a cell is had from a row; none is an unknown value, which is never written as 0.
pub enum Values<R> {
    Text(TextCell<R>),
    /// A document; as text where the format has no documents.
    Json(Cell<R, Value>),
    /// To the microsecond.
    Time(Cell<R, Timestamp>),
    Bool(Cell<R, bool>),
    Count(Cell<R, u64>),
    Whole(Cell<R, i64>),
    Number(Cell<R, f64>),
}

/// Lends the row's text where the row holds it.
type TextCell<R> = Box<dyn for<'a> Fn(&'a R) -> Option<Cow<'a, str>> + Send + Sync>;
type Cell<R, T> = Box<dyn Fn(&R) -> Option<T> + Send + Sync>;

pub fn text<R: 'static>(
    name: &'static str,
    about: &'static str,
    of: for<'a> fn(&'a R) -> Option<Cow<'a, str>>,
) -> Column<R> {
    column(name, about, Values::Text(Box::new(of)))
}

pub fn json<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<Value>) -> Column<R> {
    column(name, about, Values::Json(Box::new(of)))
}

pub fn time<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<Timestamp>) -> Column<R> {
    column(name, about, Values::Time(Box::new(of)))
}

pub fn boolean<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<bool>) -> Column<R> {
    column(name, about, Values::Bool(Box::new(of)))
}

pub fn count<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<u64>) -> Column<R> {
    column(name, about, Values::Count(Box::new(of)))
}

pub fn whole<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<i64>) -> Column<R> {
    column(name, about, Values::Whole(Box::new(of)))
}

pub fn number<R: 'static>(name: &'static str, about: &'static str, of: fn(&R) -> Option<f64>) -> Column<R> {
    column(name, about, Values::Number(Box::new(of)))
}

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

/// A text that the row holds.
pub fn held(text: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(text))
}

/// The word that the API has for it.
pub fn word(value: impl Serialize) -> Option<Cow<'static, str>> {
    match serde_json::to_value(value).ok()? {
        Value::String(word) => Some(Cow::Owned(word)),
        _ => None,
    }
}

/// The words of several, with a + between; none of none.
pub fn words<T: Serialize>(values: &[T]) -> Option<Cow<'static, str>> {
    let words = values.iter().filter_map(word).collect::<Vec<_>>();
    (!words.is_empty()).then(|| Cow::Owned(words.join("+")))
}

pub fn document(value: impl Serialize) -> Option<Value> {
    serde_json::to_value(value).ok()
}
