use serde_json::Value;

use super::Changes;
use super::schemas::{Flow, Sides, compare as compare_schemas};
use crate::description::{operations, resolved};

pub fn compare(old: &Value, new: &Value, changes: &mut Changes) {
    let (before, after) = (operations(old), operations(new));
    for (name, operation) in &before {
        match after.iter().find(|(other, _)| other == name) {
            Some((_, now)) => Pair {
                name,
                old,
                new,
                was: operation,
                is: now,
            }
            .compare(changes),
            None => changes.breaks(format!("{name} is gone")),
        }
    }
    for (name, _) in after
        .iter()
        .filter(|(name, _)| before.iter().all(|(other, _)| other != name))
    {
        changes.adds(format!("{name} is new"));
    }
}

/// One operation in both documents.
struct Pair<'a> {
    name: &'a str,
    old: &'a Value,
    new: &'a Value,
    was: &'a Value,
    is: &'a Value,
}

impl Pair<'_> {
    fn compare(&self, changes: &mut Changes) {
        let name = self.name;
        if self.was["operationId"] != self.is["operationId"] {
            changes.breaks(format!(
                "{name}: clients call it {}, not {}",
                self.was["operationId"], self.is["operationId"]
            ));
        }
        let is_open = |operation: &Value| operation["security"].as_array().is_some_and(Vec::is_empty);
        if is_open(self.was) && !is_open(self.is) {
            changes.breaks(format!("{name}: needs a key now"));
        }
        self.parameters(changes);
        self.body(changes);
        self.answers(changes);
    }

    fn schemas(&self, at: &str, flow: Flow, was: &Value, is: &Value, changes: &mut Changes) {
        let sides = Sides {
            old: self.old,
            new: self.new,
            flow,
        };
        compare_schemas(&sides, was, is, &format!("{}: {at}", self.name), changes);
    }

    fn parameters(&self, changes: &mut Changes) {
        let name = self.name;
        let (before, after) = (parameters(self.was), parameters(self.is));
        let same = |one: &Value, other: &Value| one["name"] == other["name"] && one["in"] == other["in"];
        for was in before {
            let what = was["name"].as_str().unwrap_or_default();
            let Some(is) = after.iter().find(|is| same(was, is)) else {
                changes.breaks(format!("{name}: the parameter {what} is gone"));
                continue;
            };
            if was["required"] != true && is["required"] == true {
                changes.breaks(format!("{name}: the parameter {what} is required now"));
            }
            self.schemas(what, Flow::Sent, &was["schema"], &is["schema"], changes);
        }
        for is in after.iter().filter(|is| before.iter().all(|was| !same(was, is))) {
            let what = &is["name"];
            if is["required"] == true {
                changes.breaks(format!("{name}: the new parameter {what} is required"));
            } else {
                changes.adds(format!("{name}: the parameter {what} is new"));
            }
        }
    }

    fn body(&self, changes: &mut Changes) {
        let (was, is) = (&self.was["requestBody"], &self.is["requestBody"]);
        if was["required"] != true && is["required"] == true {
            changes.breaks(format!("{}: a body is required now", self.name));
        }
        self.contents("the body", Flow::Sent, was, is, changes);
    }

    fn answers(&self, changes: &mut Changes) {
        let name = self.name;
        for (status, was) in self.was["responses"].as_object().into_iter().flatten() {
            let was = resolved(self.old, was);
            let is = &self.is["responses"][status];
            if is.is_null() {
                // Nobody misses a refusal; a client that waits for a success does.
                if status.starts_with('2') {
                    changes.breaks(format!("{name}: the answer {status} is gone"));
                }
                continue;
            }
            let is = resolved(self.new, is);
            for header in was["headers"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(header, _)| header)
            {
                if is["headers"][header].is_null() {
                    changes.breaks(format!("{name}: {status}'s header {header} is gone"));
                }
            }
            self.contents(status, Flow::Answered, was, is, changes);
        }
        for (status, _) in self.is["responses"].as_object().into_iter().flatten() {
            if self.was["responses"][status].is_null() {
                changes.adds(format!("{name}: the answer {status} is new"));
            }
        }
    }

    fn contents(&self, at: &str, flow: Flow, was: &Value, is: &Value, changes: &mut Changes) {
        for (kind, content) in was["content"].as_object().into_iter().flatten() {
            let now = &is["content"][kind];
            if now.is_null() {
                changes.breaks(format!("{}: {at} as {kind} is gone", self.name));
            } else {
                self.schemas(at, flow, &content["schema"], &now["schema"], changes);
            }
        }
        for (kind, _) in is["content"].as_object().into_iter().flatten() {
            if was["content"][kind].is_null() {
                changes.adds(format!("{}: {at} as {kind} is new", self.name));
            }
        }
    }
}

fn parameters(operation: &Value) -> &[Value] {
    operation["parameters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}
