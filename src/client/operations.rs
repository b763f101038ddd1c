//! The operations of the API.

use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;
use uuid::Uuid;

use super::{ClientError, Server};
use joulemark_experiment::{ExperimentId, State};

/// JSON document of the server, as received and as parsed. The text is passed on unchanged, so that numbers are not
/// rounded.
#[derive(Clone, Debug)]
pub struct Document {
    pub text: String,
    pub value: Value,
}

impl Document {
    /// Returns the state; `None` when this client does not know it.
    pub fn state(&self) -> Option<State> {
        self.value["state"].as_str()?.parse().ok()
    }

    /// Returns the `id` of the document, empty if it has none.
    pub fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or_default()
    }
}

/// Media type of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Json,
    Yaml,
}

impl MediaType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// Operations of the API.
impl Server {
    /// Submits an experiment. All retries carry the same idempotency key, so that it is accepted only once.
    ///
    /// # Errors
    /// Returns [`ClientError::Refused`] with the invalid fields.
    pub async fn submit(&self, body: &[u8], media_type: MediaType) -> Result<Document, ClientError> {
        self.submit_to("experiments", body, media_type).await
    }

    async fn submit_to(&self, what: &str, body: &[u8], media_type: MediaType) -> Result<Document, ClientError> {
        let key = Uuid::now_v7().to_string();
        let url = self.address.at(&["v1", what], &[]);
        self.document(|| {
            let request = self.http.post(url.clone()).header(CONTENT_TYPE, media_type.as_str());
            request.header("Idempotency-Key", &key).body(body.to_vec())
        })
        .await
    }

    /// Submits a sweep, with an idempotency key as for an experiment.
    ///
    /// # Errors
    /// Returns [`ClientError::Refused`] with the invalid fields.
    pub async fn submit_sweep(&self, body: &[u8], media_type: MediaType) -> Result<Document, ClientError> {
        self.submit_to("sweeps", body, media_type).await
    }

    /// Fetches a sweep.
    pub async fn sweep(&self, id: ExperimentId, query: &[(String, String)]) -> Result<Document, ClientError> {
        self.get(&["v1", "sweeps", &id.to_string()], query).await
    }

    /// Fetches an experiment.
    pub async fn show(&self, id: ExperimentId) -> Result<Document, ClientError> {
        self.get(&["v1", "experiments", &id.to_string()], &[]).await
    }

    /// Fetches the results of an experiment.
    pub async fn results(&self, id: ExperimentId) -> Result<Document, ClientError> {
        self.get(&["v1", "experiments", &id.to_string(), "results"], &[]).await
    }

    /// Returns the results, also the partial ones of a cancelled experiment; `None` when there are none.
    pub async fn results_so_far(&self, id: ExperimentId) -> Result<Option<Document>, ClientError> {
        match self.results(id).await {
            Err(ClientError::Refused(problem)) if problem.short_kind() == "not-completed" => Ok(None),
            other => other.map(Some),
        }
    }

    /// Returns one page of the list of experiments, and the cursor of the next page.
    pub async fn page(&self, query: &[(String, String)]) -> Result<(Vec<Value>, Option<String>), ClientError> {
        let mut page = self.get(&["v1", "experiments"], query).await?.value;
        let next = page["next_cursor"].as_str().map(str::to_owned);
        match page["items"].take() {
            Value::Array(items) => Ok((items, next)),
            _ => Err(ClientError::Foreign {
                server: self.address.to_string(),
                what: "its list of experiments has no `items`".to_owned(),
            }),
        }
    }

    /// Compares results on the server.
    ///
    /// # Errors
    /// Returns [`ClientError::Refused`] with the experiments that have no results.
    pub async fn compare(&self, request: &Value) -> Result<Document, ClientError> {
        let url = self.address.at(&["v1", "compare"], &[]);
        let body = request.to_string();
        self.document(|| {
            let request = self.http.post(url.clone()).header(CONTENT_TYPE, "application/json");
            request.body(body.clone())
        })
        .await
    }

    /// Cancels an experiment.
    pub async fn cancel(&self, id: ExperimentId) -> Result<Document, ClientError> {
        let url = self.address.at(&["v1", "experiments", &id.to_string(), "cancel"], &[]);
        self.document(|| self.http.post(url.clone())).await
    }

    /// Changes labels: a string sets one, null removes one. Idempotent, so that it may be retried.
    ///
    /// # Errors
    /// Returns [`ClientError::Refused`] with the invalid labels.
    pub async fn change_labels(&self, id: ExperimentId, changes: &Value) -> Result<Document, ClientError> {
        let url = self.address.at(&["v1", "experiments", &id.to_string(), "labels"], &[]);
        let body = changes.to_string();
        self.document(|| {
            let request = self.http.patch(url.clone());
            request
                .header(CONTENT_TYPE, "application/merge-patch+json")
                .body(body.clone())
        })
        .await
    }

    /// Opens an export of one experiment, or of all that the query selects. It is not compressed, so that a truncated
    /// body is detected.
    pub async fn export(&self, id: Option<ExperimentId>, query: &[(String, String)]) -> Result<Response, ClientError> {
        let id = id.map(|id| id.to_string());
        let segments: Vec<_> = ["v1", "experiments"]
            .into_iter()
            .chain(id.as_deref())
            .chain(["export"])
            .collect();
        let url = self.address.at(&segments, query);
        self.open(|| self.http.get(url.clone())).await
    }

    /// Returns the next bytes of an export or a bundle, or `None` at its end.
    ///
    /// # Errors
    /// Returns an error when the body is truncated.
    pub async fn next_piece(&self, response: &mut Response) -> Result<Option<Vec<u8>>, ClientError> {
        let piece = response.chunk().await.map_err(|error| self.without_answer(&error))?;
        Ok(piece.map(Into::into))
    }

    /// Fetches the manifest of a result.
    pub async fn manifest(&self, id: ExperimentId) -> Result<Document, ClientError> {
        self.get(&["v1", "experiments", &id.to_string(), "manifest"], &[]).await
    }

    /// Opens the bundle of a result.
    pub async fn bundle(&self, id: ExperimentId) -> Result<Response, ClientError> {
        let url = self.address.at(&["v1", "experiments", &id.to_string(), "bundle"], &[]);
        self.open(|| self.http.get(url.clone())).await
    }

    /// Fetches a document, with retries.
    pub(super) async fn get(&self, segments: &[&str], query: &[(String, String)]) -> Result<Document, ClientError> {
        let url = self.address.at(segments, query);
        self.document(|| self.http.get(url.clone()).header(ACCEPT, "application/json"))
            .await
    }

    async fn document(&self, request: impl Fn() -> reqwest::RequestBuilder) -> Result<Document, ClientError> {
        let body = self.fetch(request).await?;
        let text = String::from_utf8(body).unwrap_or_default();
        match serde_json::from_str(&text) {
            Ok(value @ Value::Object(_)) => Ok(Document { text, value }),
            _ => {
                let what = "its response is not a JSON object; is a path prefix missing in --server?".to_owned();
                Err(ClientError::Foreign {
                    server: self.address.to_string(),
                    what,
                })
            }
        }
    }
}
