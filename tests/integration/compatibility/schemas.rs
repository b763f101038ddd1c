use std::collections::BTreeSet;

use serde_json::Value;

use super::Changes;
use crate::description::resolved;

/// Which way a value goes: what clients send may be narrowed by nobody, what they are answered may not become wider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Sent,
    Answered,
}

/// The two documents that references point into.
#[derive(Debug)]
pub struct Sides<'a> {
    pub old: &'a Value,
    pub new: &'a Value,
    pub flow: Flow,
}

/// Lower bounds may not rise, upper ones not fall, in what clients send.
const LOWER: [&str; 4] = ["minimum", "exclusiveMinimum", "minLength", "minItems"];
const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
const EVERY_TYPE: [&str; 6] = ["null", "boolean", "number", "string", "array", "object"];

pub fn compare(sides: &Sides<'_>, was: &Value, is: &Value, at: &str, changes: &mut Changes) {
    walk(sides, was, is, at, &mut BTreeSet::new(), changes);
}

/// A schema as it is compared: parts of an `allOf` together, null apart from the other choices.
struct Shape<'a> {
    types: BTreeSet<&'a str>,
    properties: Vec<(&'a str, &'a Value)>,
    required: BTreeSet<&'a str>,
    choices: Vec<&'a Value>,
    own: &'a Value,
}

fn shape<'a>(document: &'a Value, schema: &'a Value) -> Shape<'a> {
    let schema = resolved(document, schema);
    let mut shape = Shape {
        types: types(schema),
        properties: Vec::new(),
        required: BTreeSet::new(),
        choices: Vec::new(),
        own: schema,
    };
    add_keys(document, schema, &mut shape);
    if let Some(choices) = schema["oneOf"].as_array() {
        shape.choices = choices.iter().filter(|choice| choice["type"] != "null").collect();
        shape.types = choices
            .iter()
            .flat_map(|choice| types(resolved(document, choice)))
            .collect();
        // Null or one thing is that thing, nullable.
        if let [only] = shape.choices[..] {
            let inner = self::shape(document, only);
            return Shape {
                types: shape.types,
                ..inner
            };
        }
    }
    if !shape.properties.is_empty() && schema["type"].is_null() {
        shape.types = BTreeSet::from(["object"]);
    }
    shape
}

fn add_keys<'a>(document: &'a Value, schema: &'a Value, shape: &mut Shape<'a>) {
    let schema = resolved(document, schema);
    let properties = schema["properties"].as_object().into_iter().flatten();
    shape
        .properties
        .extend(properties.map(|(name, value)| (name.as_str(), value)));
    shape.required.extend(
        schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str),
    );
    for part in schema["allOf"].as_array().into_iter().flatten() {
        add_keys(document, part, shape);
    }
}

fn types(schema: &Value) -> BTreeSet<&str> {
    match &schema["type"] {
        Value::String(name) => BTreeSet::from([name.as_str()]),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => EVERY_TYPE.into_iter().collect(),
    }
}

/// An integer is a number as well.
fn covers(types: &BTreeSet<&str>, name: &str) -> bool {
    types.contains(name) || (name == "integer" && types.contains("number"))
}

type Seen = BTreeSet<(String, String)>;

/// Of an answer that a parameter narrows, what it is without: the first of its choices. A client that does not ask for
/// less gets that, and one that does got less before it was described.
fn unnarrowed(flow: Flow, schema: &Value) -> &Value {
    match schema["anyOf"].as_array() {
        Some(choices) if flow == Flow::Answered && is_whole_and_part(choices) => &choices[0],
        _ => schema,
    }
}

fn is_whole_and_part(choices: &[Value]) -> bool {
    let name = |choice: &Value| Some(choice["$ref"].as_str()?.rsplit('/').next()?.to_owned());
    match choices {
        [whole, part] => name(whole).is_some_and(|whole| name(part) == Some(format!("Selected{whole}"))),
        _ => false,
    }
}

fn walk(sides: &Sides<'_>, was: &Value, is: &Value, at: &str, seen: &mut Seen, changes: &mut Changes) {
    let (was, is) = (unnarrowed(sides.flow, was), unnarrowed(sides.flow, is));
    if let (Some(old), Some(new)) = (was["$ref"].as_str(), is["$ref"].as_str())
        && !seen.insert((old.to_owned(), new.to_owned()))
    {
        return;
    }
    let (was, is) = (shape(sides.old, was), shape(sides.new, is));
    type_change(sides.flow, &was, &is, at, changes);
    if was.choices.len() > 1 || is.choices.len() > 1 {
        choices(sides, &was, &is, at, changes);
        return;
    }
    enumeration(sides.flow, was.own, is.own, at, changes);
    keys(sides, &was, &is, at, seen, changes);
    for inner in ["items", "additionalProperties"] {
        let (before, after) = (&was.own[inner], &is.own[inner]);
        if before.is_object() && after.is_object() {
            walk(sides, before, after, &format!("{at}[]"), seen, changes);
        } else if sides.flow == Flow::Sent && *after == false && *before != false {
            changes.breaks(format!("{at} takes no other keys now"));
        }
    }
    if sides.flow == Flow::Sent {
        bounds(was.own, is.own, at, changes);
    }
    if was.own["format"] != is.own["format"] {
        changes.breaks(format!(
            "{at} has the format {}, not {}",
            is.own["format"], was.own["format"]
        ));
    }
}

fn type_change(flow: Flow, was: &Shape<'_>, is: &Shape<'_>, at: &str, changes: &mut Changes) {
    let lost = was
        .types
        .iter()
        .filter(|name| !covers(&is.types, name))
        .collect::<Vec<_>>();
    let gained = is
        .types
        .iter()
        .filter(|name| !covers(&was.types, name))
        .collect::<Vec<_>>();
    match flow {
        Flow::Sent if !lost.is_empty() => changes.breaks(format!("{at} takes no {lost:?} any more")),
        Flow::Answered if !gained.is_empty() => changes.breaks(format!("{at} may be {gained:?} now")),
        _ if !lost.is_empty() || !gained.is_empty() => changes.adds(format!("{at} is {:?} now", is.types)),
        _ => {}
    }
}

/// A value that is answered no more had clients that branch on it; one that is new they pass over, as they are told to.
fn enumeration(flow: Flow, was: &Value, is: &Value, at: &str, changes: &mut Changes) {
    match (was["enum"].as_array(), is["enum"].as_array()) {
        (Some(before), Some(after)) => {
            for value in before.iter().filter(|value| !after.contains(value)) {
                changes.breaks(format!("{at} has no value {value} any more"));
            }
            for value in after.iter().filter(|value| !before.contains(value)) {
                changes.adds(format!("{at} has the new value {value}"));
            }
        }
        (None, Some(_)) if flow == Flow::Sent => changes.breaks(format!("{at} takes some values only now")),
        (Some(_), None) if flow == Flow::Answered => changes.breaks(format!("{at} may have any value now")),
        _ => {}
    }
}

fn keys(sides: &Sides<'_>, was: &Shape<'_>, is: &Shape<'_>, at: &str, seen: &mut Seen, changes: &mut Changes) {
    for (name, before) in &was.properties {
        let at = format!("{at}.{name}");
        match is.properties.iter().find(|(other, _)| other == name) {
            Some((_, after)) => walk(sides, before, after, &at, seen, changes),
            None => changes.breaks(format!("{at} is gone")),
        }
        let (needed, needs) = (was.required.contains(name), is.required.contains(name));
        match sides.flow {
            Flow::Sent if needs && !needed => changes.breaks(format!("{at} is required now")),
            Flow::Answered if needed && !needs => changes.breaks(format!("{at} may be absent now")),
            _ => {}
        }
    }
    for (name, _) in is
        .properties
        .iter()
        .filter(|(name, _)| was.properties.iter().all(|(other, _)| other != name))
    {
        if sides.flow == Flow::Sent && is.required.contains(name) {
            changes.breaks(format!("{at}.{name} is new and required"));
        } else {
            changes.adds(format!("{at}.{name} is new"));
        }
    }
}

fn bounds(was: &Value, is: &Value, at: &str, changes: &mut Changes) {
    let number = |schema: &Value, key: &str| schema[key].as_f64();
    let narrowed = |key: &&&str, narrower: fn(f64, f64) -> bool| match (number(was, key), number(is, key)) {
        (None, Some(_)) => true,
        (Some(before), Some(after)) => narrower(after, before),
        _ => false,
    };
    let lower = LOWER.iter().filter(|key| narrowed(key, |after, before| after > before));
    let upper = UPPER.iter().filter(|key| narrowed(key, |after, before| after < before));
    for key in lower.chain(upper) {
        changes.breaks(format!("{at} has the {key} {} now", is[*key]));
    }
    if !is["pattern"].is_null() && is["pattern"] != was["pattern"] {
        changes.breaks(format!("{at} must match {} now", is["pattern"]));
    }
}

/// Each choice that was open is there, as itself or wider; each that is answered was there.
fn choices(sides: &Sides<'_>, was: &Shape<'_>, is: &Shape<'_>, at: &str, changes: &mut Changes) {
    let listed = |shape: &Shape<'_>| match shape.choices.is_empty() {
        true => vec![shape.own.clone()],
        false => shape.choices.iter().map(|choice| (*choice).clone()).collect(),
    };
    let (before, after) = (listed(was), listed(is));
    let fits = |old: &Value, new: &Value| {
        let mut found = Changes::default();
        compare(sides, old, new, at, &mut found);
        found.0.iter().all(|change| !change.breaks)
    };
    match sides.flow {
        Flow::Sent => {
            for (index, _) in before
                .iter()
                .enumerate()
                .filter(|(_, old)| !after.iter().any(|new| fits(old, new)))
            {
                changes.breaks(format!("{at}: choice {index} is not taken any more"));
            }
        }
        Flow::Answered => {
            for (index, _) in after
                .iter()
                .enumerate()
                .filter(|(_, new)| !before.iter().any(|old| fits(old, new)))
            {
                changes.breaks(format!("{at}: choice {index} was not answered before"));
            }
        }
    }
    if after.len() > before.len() {
        changes.adds(format!("{at} has more choices"));
    }
}
