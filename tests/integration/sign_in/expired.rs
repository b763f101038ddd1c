//! A form whose CSRF token has expired.

use reqwest::{StatusCode, header};

use super::browser::{Browser, encoded, hidden};
use crate::guarded::Guarded;

const PERSON: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

#[tokio::test]
async fn a_submission_with_an_expired_token_is_shown_again_and_sent_by_the_new_token() {
    let guarded = Guarded::start(&[]);
    let ada = guarded.key("ada", "submitter");
    let mut browser = Browser::of(&guarded.server.url);
    let signed_in = browser.sign_in(&ada, "").await;
    browser.keep(&signed_in);
    let before = hidden(&browser.page("/submit").await.text().await.unwrap(), "csrf");
    let signed_in = browser.sign_in(&ada, "").await;
    browser.keep(&signed_in);

    let typed = |csrf: &str| {
        let fields = [
            ("csrf", csrf),
            ("action", "submit"),
            ("model_name", "synthetic:decode_ms=1"),
            ("config_name", "typed <by> hand"),
        ];
        encoded(&fields)
    };
    for token in [&*before, "", "x"] {
        let refused = browser.form_with(&[PERSON], "/submit", &typed(token)).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{token}");
        let text = refused.text().await.unwrap();
        crate::pages::obeys_its_policy(&text);
        assert!(
            text.contains("Nothing was submitted") && text.contains("value=\"typed &#60;by&#62; hand\""),
            "{text}"
        );
        assert_ne!(hidden(&text, "csrf"), before);
    }
    let (_, list) = guarded.get("/v1/experiments", &ada).await;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(0), "{list:#}");

    // A program gets the problem, and so does every other form.
    let refused = browser.form("/submit", &typed(&before)).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let kind = refused.headers()[header::CONTENT_TYPE].to_str().unwrap();
    assert_eq!(kind, "application/problem+json");
    let refused = browser.form_with(&[PERSON], "/sign-out", &typed(&before)).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.unwrap().contains("CSRF token"));

    let refused = browser.form_with(&[PERSON], "/submit", &typed(&before)).await;
    let now = hidden(&refused.text().await.unwrap(), "csrf");
    let sent = browser.form_with(&[PERSON], "/submit", &typed(&now)).await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER, "{}", sent.text().await.unwrap());
    let (_, list) = guarded.get("/v1/experiments", &ada).await;
    assert_eq!(list["items"][0]["config_name"], "typed <by> hand", "{list:#}");
}
