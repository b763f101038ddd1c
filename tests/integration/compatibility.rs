//! The API against its last release: what a client relied on is still there, or the version says that it is not.

mod operations;
mod rules;
mod schemas;

use std::fmt;
use std::path::Path;

use serde_json::Value;

use crate::description::DOCUMENT;

/// One difference between two descriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// A client written for the old one may fail on the new one.
    breaks: bool,
    what: String,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.breaks { "breaks" } else { "adds" };
        write!(formatter, "{kind}: {}", self.what)
    }
}

/// What was found on the way.
#[derive(Debug, Default)]
pub struct Changes(Vec<Change>);

impl Changes {
    fn breaks(&mut self, what: impl Into<String>) {
        self.0.push(Change {
            breaks: true,
            what: what.into(),
        });
    }

    fn adds(&mut self, what: impl Into<String>) {
        self.0.push(Change {
            breaks: false,
            what: what.into(),
        });
    }
}

pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Changes::default();
    operations::compare(old, new, &mut changes);
    changes.0
}

/// `1.2.3`, which sorts as versions do.
fn version(document: &Value) -> [u32; 3] {
    let text = document["info"]["version"].as_str().expect("a version");
    let parts: Vec<u32> = text.split('.').map(|part| part.parse().expect("a number")).collect();
    parts.try_into().expect("three numbers")
}

/// What is wrong with the new version, if anything.
fn verdict(old: &Value, new: &Value) -> Result<(), String> {
    let (was, is) = (version(old), version(new));
    let found = changes(old, new);
    let all = || found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
    if is < was {
        return Err(format!("the version went back, from {was:?} to {is:?}"));
    }
    if found.iter().any(|change| change.breaks) && is[0] == was[0] {
        let next = was[0] + 1;
        return Err(format!(
            "this breaks clients: raise API_VERSION to {next}.0.0, or undo it\n  {}",
            all()
        ));
    }
    if !found.is_empty() && is[..2] == was[..2] {
        let (major, minor) = (was[0], was[1] + 1);
        return Err(format!(
            "the API has grown: raise API_VERSION (src/http/openapi.rs) to {major}.{minor}.0 and add a line to \
             openapi/CHANGELOG.md\n  {}",
            all()
        ));
    }
    Ok(())
}

fn last_release() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/released");
    let files = std::fs::read_dir(&folder).expect("openapi/released is there");
    let documents = files.map(|file| {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(document["info"]["version"], name.as_str(), "{}", path.display());
        document
    });
    documents.max_by_key(version).expect("a release")
}

#[test]
fn what_clients_of_the_last_release_rely_on_is_there_or_the_version_says_otherwise() {
    if let Err(reason) = verdict(&last_release(), &DOCUMENT) {
        panic!("{reason}");
    }
}

#[test]
fn the_changelog_of_the_api_begins_with_its_version() {
    let changelog = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/CHANGELOG.md");
    let text = std::fs::read_to_string(changelog).expect("openapi/CHANGELOG.md is there");
    let newest = text
        .lines()
        .find_map(|line| line.strip_prefix("## "))
        .expect("a heading");
    assert_eq!(
        DOCUMENT["info"]["version"],
        newest.split(' ').next().expect("a version")
    );
}
