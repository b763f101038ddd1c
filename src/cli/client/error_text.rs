//! The text of an error for the terminal. Pure.

use std::fmt::Write as _;

use crate::client::{ClientError, Problem};

/// Returns the error with one line for each invalid field, and a hint where one is known.
pub fn text(error: &anyhow::Error) -> String {
    let around: Vec<_> = error
        .chain()
        .take_while(|cause| !cause.is::<ClientError>())
        .map(ToString::to_string)
        .collect();
    let context = |text: String| {
        let before = around.iter().map(|part| format!("{part}: "));
        before.chain([text]).collect::<String>()
    };
    match error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) {
        Some(ClientError::Refused(problem) | ClientError::Unavailable(problem)) => context(of_problem(problem)),
        Some(error @ ClientError::Unreachable { reason, .. }) => {
            let hint = if reason.contains("certificate") {
                "name a PEM file with the certificate authority by --cacert or JOULEMARK_CACERT"
            } else {
                "is `joulemark serve` running there? Name another server by --server or JOULEMARK_SERVER"
            };
            context(format!("{error}\n  {hint}"))
        }
        Some(error) => context(error.to_string()),
        None => format!("{error:#}"),
    }
}

fn of_problem(problem: &Problem) -> String {
    let mut text = problem.title.clone();
    // The detail repeats the first field and the number of fields.
    if problem.errors.is_empty() && problem.detail != problem.title {
        let _ = write!(text, "\n  {}", problem.detail);
    }
    let width = problem
        .errors
        .iter()
        .map(|field| field.pointer.chars().count())
        .max()
        .unwrap_or(0);
    for field in &problem.errors {
        let pointer = if field.pointer.is_empty() {
            "(document)"
        } else {
            &field.pointer
        };
        let _ = write!(text, "\n  {pointer:width$}  {}", field.detail);
    }
    if problem.status == 401 {
        text.push_str("\n  pass a key by --api-key-file, JOULEMARK_API_KEY_FILE or JOULEMARK_API_KEY");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(problem: &str) -> anyhow::Error {
        anyhow::Error::new(ClientError::Refused(serde_json::from_str(problem).unwrap()))
    }

    #[test]
    fn each_bad_field_has_a_line() {
        let error = refused(
            r#"{"title": "The experiment is not valid", "status": 422, "detail": "/a is 0 (and 1 more, see errors)",
               "errors": [{"pointer": "/num_cycles", "detail": "is 0; accepted is 1 to 100"}, {"pointer": "/a", "detail": "is unknown"}]}"#,
        );
        let error = error.context("x.json");
        assert_eq!(
            text(&error),
            "x.json: The experiment is not valid\n  /num_cycles  is 0; accepted is 1 to 100\n  /a           is unknown"
        );
    }

    #[test]
    fn an_untrusted_certificate_comes_with_a_hint() {
        for (reason, hint) in [
            ("invalid peer certificate: UnknownIssuer", "--cacert"),
            ("Connection refused", "joulemark serve"),
        ] {
            let (server, reason) = ("https://lab".to_owned(), reason.to_owned());
            let said = text(&anyhow::Error::new(ClientError::Unreachable { server, reason }));
            assert!(said.lines().last().is_some_and(|last| last.contains(hint)), "{said}");
        }
    }

    #[test]
    fn a_missing_key_comes_with_a_hint() {
        let error = refused(r#"{"title": "An API key is needed", "status": 401, "detail": "there is none"}"#);
        assert_eq!(
            text(&error),
            "An API key is needed\n  there is none\n  pass a key by --api-key-file, JOULEMARK_API_KEY_FILE or JOULEMARK_API_KEY"
        );
    }
}
