use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// A column of a table whose rows are `R`. The name holds the unit.
pub struct Column<R> {
    pub name: &'static str,
    /// What it is, its unit, and where it comes from.
    pub about: &'static str,
    pub values: Values<R>,
}

/// How a cell is had from a row; none is an unknown value, which is never written as 0.
pub enum Values<R> {
    Text(for<'a> fn(&'a R) -> Option<Cow<'a, str>>),
    /// A document; as text where the format has no documents.
    Json(fn(&R) -> Option<Value>),
    /// To the microsecond.
    Time(fn(&R) -> Option<Timestamp>),
    Bool(fn(&R) -> Option<bool>),
    Count(fn(&R) -> Option<u64>),
    Whole(fn(&R) -> Option<i64>),
    Number(fn(&R) -> Option<f64>),
}

pub fn text<R>(name: &'static str, about: &'static str, of: for<'a> fn(&'a R) -> Option<Cow<'a, str>>) -> Column<R> {
    column(name, about, Values::Text(of))
}

pub fn json<R>(name: &'static str, about: &'static str, of: fn(&R) -> Option<Value>) -> Column<R> {
    column(name, about, Values::Json(of))
}

pub fn time<R>(name: &'static str, about: &'static str, of: fn(&R) -> Option<Timestamp>) -> Column<R> {
    column(name, about, Values::Time(of))
}

pub fn boolean<R>(name: &'static str, about: &'static str, of: fn(&R) -> Option<bool>) -> Column<R> {
    column(name, about, Values::Bool(of))
}

pub fn count<R>(name: &'static str, about: &'static str, of: fn(&R) -> Option<u64>) -> Column<R> {
    column(name, about, Values::Count(of))
}

pub fn whole<R>(name: &'static str, about: &'static str, of: fn(&R) -> Option<i64>) -> Column<R> {
    column(name, about, Values::Whole(of))
}

pub fn number<R>(name: &'static str, about: &'static str, of: fn(&R) -> Option<f64>) -> Column<R> {
    column(name, about, Values::Number(of))
}

fn column<R>(name: &'static str, about: &'static str, values: Values<R>) -> Column<R> {
    Column { name, about, values }
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
