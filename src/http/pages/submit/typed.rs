//! The values of a submitted form.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};

use crate::http::problem::Problem;

const FORM: &str = "application/x-www-form-urlencoded";
/// Maximum number of inputs, several times the number in the form; each uses more memory than its bytes in the body.
const MAX_INPUTS: usize = 1000;

/// Texts of the form by the name of the input; absent ones are empty.
#[derive(Clone, Debug, Default)]
pub struct Typed(BTreeMap<String, String>);

impl Typed {
    /// Parses a form as browsers send it, and normalizes its line ends.
    ///
    /// # Errors
    /// Returns a [`Problem`] for another type of body, and for too many inputs.
    pub fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<Self, Problem> {
        let content_type = headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or("absent");
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(FORM) {
            let detail = format!("the Content-Type of the body is {content_type}; accepted is {FORM}");
            return Err(Problem::malformed_body(detail));
        }
        let mut typed = Self::default();
        for (place, (name, text)) in form_urlencoded::parse(bytes).enumerate() {
            if place == MAX_INPUTS {
                let detail = format!("the form has more than {MAX_INPUTS} inputs; send the form of this page");
                return Err(Problem::malformed_body(detail));
            }
            typed.set(&name, text.replace("\r\n", "\n"));
        }
        Ok(typed)
    }

    /// Returns the text of an input, empty if absent.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Sets the text of an input.
    pub fn set(&mut self, name: &str, text: impl Into<String>) {
        self.0.insert(name.to_owned(), text.into());
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(content_type: &'static str, body: &str) -> Result<Typed, Problem> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Typed::read(&headers, body.as_bytes())
    }

    #[test]
    fn inputs_are_parsed_with_normalized_line_ends() {
        let typed = read(
            "application/x-www-form-urlencoded; charset=utf-8",
            "a=1+%C3%BC&b=x%0D%0Ay&c",
        )
        .unwrap();
        assert_eq!((typed.text("a"), typed.text("b")), ("1 ü", "x\ny"));
        assert_eq!((typed.text("c"), typed.text("d")), ("", ""));
    }

    #[test]
    fn other_bodies_and_too_many_inputs_are_rejected() {
        let refused = |content_type, body: &str| read(content_type, body).unwrap_err().status;
        assert_eq!(refused("multipart/form-data", ""), 400);
        assert_eq!(refused(FORM, &"a&".repeat(MAX_INPUTS + 1)), 400);
    }
}
