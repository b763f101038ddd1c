use reqwest::{Method, RequestBuilder, Response, StatusCode, header, redirect};
use serde_json::Value;

/// What of a browser matters here: it asks for pages, sends forms, and sends back the one cookie that it was given.
pub struct Browser {
    client: reqwest::Client,
    url: String,
    headers: Vec<(String, String)>,
    cookie: Option<String>,
}

impl Browser {
    pub fn of(url: &str) -> Self {
        Self::by(url, &[])
    }

    /// Through a proxy that adds these headers.
    pub fn by(url: &str, headers: &[(&str, &str)]) -> Self {
        let client = reqwest::Client::builder().redirect(redirect::Policy::none());
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            client: client.build().unwrap(),
            url: url.to_owned(),
            headers: headers.collect(),
            cookie: None,
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    /// Keeps the cookie of an answer.
    pub fn keep(&mut self, answer: &Response) {
        let set = answer.headers()[header::SET_COOKIE].to_str().unwrap();
        self.cookie = Some(cookie_of(set));
    }

    /// Asks as a program, with one header more.
    pub async fn with(&self, name: &str, value: &str, method: Method, path: &str) -> Response {
        self.request(method, path).header(name, value).send().await.unwrap()
    }

    pub async fn page(&self, path: &str) -> Response {
        let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        self.with("accept", accept, Method::GET, path).await
    }

    /// Sends a form as it is encoded.
    pub async fn form(&self, path: &str, form: &str) -> Response {
        self.form_with(&[], path, form).await
    }

    /// Sends a form with some headers more.
    pub async fn form_with(&self, headers: &[(&str, &str)], path: &str, form: &str) -> Response {
        let kind = "application/x-www-form-urlencoded";
        let mut request = self.request(Method::POST, path).header(header::CONTENT_TYPE, kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(form.to_owned()).send().await.unwrap()
    }

    pub async fn sign_in(&self, key: &str, next: &str) -> Response {
        self.form("/sign-in", &encoded(&[("key", key), ("next", next)])).await
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// As a script of a page does; no token where it is empty.
    pub async fn post(&self, path: &str, token: &str, body: &Value) -> (StatusCode, Value) {
        let mut request = self.request(Method::POST, path).json(body);
        if !token.is_empty() {
            request = request.header("x-csrf-token", token);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}

/// Returns a form as a browser sends it.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// Returns what a browser sends back of a Set-Cookie header.
pub fn cookie_of(set: &str) -> String {
    set.split(';').next().unwrap().to_owned()
}

/// Returns the value of a hidden field of a page's forms.
pub fn hidden(page: &str, name: &str) -> String {
    let field = format!("type=\"hidden\" name=\"{name}\" value=\"");
    let (_, rest) = page
        .split_once(&field)
        .unwrap_or_else(|| panic!("{name} is not in {page}"));
    rest.split('"').next().unwrap().replace("&amp;", "&")
}
