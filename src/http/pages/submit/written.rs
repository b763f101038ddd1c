//! Writes an experiment in other notations: JSON, YAML, a curl command and a `joulemark` command.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

/// Maximum size of an experiment that is shown, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// Delimiter of here-documents. No line of the JSON or YAML can be equal to it.
const END: &str = "EXPERIMENT";

/// The experiment in one notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub id: &'static str,
    pub title: &'static str,
    pub text: String,
}

/// Fields of an experiment in the order of the form.
struct InOrder<'a>(&'a [(&'static str, &'a Value)]);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Returns the experiment in every notation; `None` when it is too long to show. `server` is the base URL of the
/// request.
pub fn written(fields: &[(&'static str, &Value)], server: &str, has_keys: bool) -> Option<Vec<Written>> {
    let fields = InOrder(fields);
    let json = serde_json::to_string_pretty(&fields).unwrap_or_default();
    if json.len() > MAX_BYTES {
        return None;
    }
    let yaml = yaml(&fields);
    let key = match has_keys {
        true => " \\\n  -H \"Authorization: Bearer $JOULEMARK_API_KEY\"",
        false => "",
    };
    let url = quoted(&format!("{server}/v1/experiments"));
    let curl = format!(
        "curl --fail-with-body {url} \\\n  -H 'Content-Type: application/json'{key} \\\n  --data-binary @- <<'{END}'\n\
         {json}\n{END}"
    );
    let server = quoted(server);
    let command = format!("joulemark submit --server {server} - <<'{END}'\n{yaml}\n{END}");
    let written = |id, title, text| Written { id, title, text };
    Some(vec![
        written("as-json", "JSON", json),
        written("as-yaml", "YAML", yaml),
        written("as-curl", "curl", curl),
        written("as-command", "Command line", command),
    ])
}

/// Returns a value as YAML without a final line end. Every string is on one line.
pub fn yaml(value: &impl Serialize) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(value, options);
    text.unwrap_or_default().trim_end().to_owned()
}

/// Quotes a text for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::http::body::read_text;

    fn within(text: &str) -> &str {
        let start = text.find("<<'EXPERIMENT'\n").unwrap() + "<<'EXPERIMENT'\n".len();
        text[start..].strip_suffix("\nEXPERIMENT").unwrap()
    }

    #[test]
    fn all_notations_contain_the_same_experiment_in_the_order_of_the_form() {
        let values = [
            json!("m"),
            json!({"open": {"rate_per_sec": 2.0}}),
            json!(["EXPERIMENT", "a\nEXPERIMENT\n", "it's"]),
        ];
        let fields = [
            ("model_name", &values[0]),
            ("load", &values[1]),
            ("alphabetical", &values[2]),
        ];
        let expected = json!({"model_name": values[0], "load": values[1], "alphabetical": values[2]});
        let written = written(&fields, "http://it's/x", true).unwrap();
        let text = |id: &str| written.iter().find(|way| way.id == id).unwrap().text.as_str();
        for text in [
            text("as-json"),
            text("as-yaml"),
            within(text("as-curl")),
            within(text("as-command")),
        ] {
            assert_eq!(read_text(text).unwrap().document, expected, "{text}");
            assert!(text.find("model_name") < text.find("load") && text.find("load") < text.find("alphabetical"));
            assert_eq!(text.lines().filter(|line| *line == END).count(), 0, "{text}");
        }
        assert!(
            text("as-curl").contains("'http://it'\\''s/x/v1/experiments'"),
            "{}",
            text("as-curl")
        );
        assert!(text("as-curl").contains("$JOULEMARK_API_KEY"));
    }

    #[test]
    fn a_key_is_included_only_if_the_server_has_keys_and_a_long_experiment_is_not_shown() {
        let name = json!("m");
        let fields = [("model_name", &name)];
        let curl = &written(&fields, "http://x", false).unwrap()[2].text;
        assert!(!curl.contains("KEY"), "{curl}");
        let long = json!("x".repeat(MAX_BYTES));
        assert_eq!(written(&[("user", &long)], "http://x", false), None);
    }

    proptest! {
        #[test]
        fn any_text_survives_being_written_as_yaml(texts in prop::collection::vec(".{0,40}", 1..4), key in "[ -~]{1,12}") {
            let value = json!({"list": texts, "map": {key: texts[0]}});
            let written = yaml(&value);
            let read = read_text(&written).map(|body| (body.misread(), body.document));
            prop_assert_eq!(read.map_err(|problem| problem.detail), Ok((Vec::new(), value)), "{}", written);
        }
    }
}
