use reqwest::Response;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;
use uuid::Uuid;

use super::{ClientError, Server};
use joulemark_experiment::{ExperimentId, State};

/// An answer: as it came, and as it reads. What came is handed on untouched, so that no figure is rounded on the way.
#[derive(Clone, Debug)]
pub struct Document {
    pub text: String,
    pub value: Value,
}

impl Document {
    /// None when the server has a state that this client does not know.
    pub fn state(&self) -> Option<State> {
        self.value["state"].as_str()?.parse().ok()
    }

    pub fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or_default()
    }
}

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

/// One operation of the API each.
impl Server {
    /// Submits an experiment, once: it may be sent several times, under one key.
    ///
    /// # Errors
    /// [`ClientError::Refused`] says which fields are bad.
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

    /// Submits a sweep, once, as an experiment.
    ///
    /// # Errors
    /// [`ClientError::Refused`] says which points are bad.
    pub async fn submit_sweep(&self, body: &[u8], media_type: MediaType) -> Result<Document, ClientError> {
        self.submit_to("sweeps", body, media_type).await
    }

    pub async fn sweep(&self, id: ExperimentId, query: &[(String, String)]) -> Result<Document, ClientError> {
        self.get(&["v1", "sweeps", &id.to_string()], query).await
    }

    pub async fn show(&self, id: ExperimentId) -> Result<Document, ClientError> {
        self.get(&["v1", "experiments", &id.to_string()], &[]).await
    }

    pub async fn results(&self, id: ExperimentId) -> Result<Document, ClientError> {
        self.get(&["v1", "experiments", &id.to_string(), "results"], &[]).await
    }

    /// Returns the results, also those of the cycles that an experiment finished before it was cancelled; `None` where it
    /// has none.
    pub async fn results_so_far(&self, id: ExperimentId) -> Result<Option<Document>, ClientError> {
        match self.results(id).await {
            Err(ClientError::Refused(problem)) if problem.short_kind() == "not-completed" => Ok(None),
            other => other.map(Some),
        }
    }

    /// A page of the list, with the cursor of the next one.
    pub async fn page(&self, query: &[(String, String)]) -> Result<(Vec<Value>, Option<String>), ClientError> {
        let mut page = self.get(&["v1", "experiments"], query).await?.value;
        let next = page["next_cursor"].as_str().map(str::to_owned);
        match page["items"].take() {
            Value::Array(items) => Ok((items, next)),
            _ => Err(ClientError::Foreign {
                server: self.address.to_string(),
                what: "its list of experiments has no items".to_owned(),
            }),
        }
    }

    /// Compares results that the server has.
    ///
    /// # Errors
    /// [`ClientError::Refused`] says which of them have no results.
    pub async fn compare(&self, question: &Value) -> Result<Document, ClientError> {
        let url = self.address.at(&["v1", "compare"], &[]);
        let body = question.to_string();
        self.document(|| {
            let request = self.http.post(url.clone()).header(CONTENT_TYPE, "application/json");
            request.body(body.clone())
        })
        .await
    }

    pub async fn cancel(&self, id: ExperimentId) -> Result<Document, ClientError> {
        let url = self.address.at(&["v1", "experiments", &id.to_string(), "cancel"], &[]);
        self.document(|| self.http.post(url.clone())).await
    }

    /// Changes labels: a text sets one, null removes one. Doing it twice is as good as once.
    ///
    /// # Errors
    /// [`ClientError::Refused`] says which labels are bad.
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

    /// Rows of one experiment, or of all that the query selects, as they come. Uncompressed: what breaks off shows.
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

    /// # Errors
    /// When the body breaks off: what came of it is not whole.
    pub async fn next_piece(&self, response: &mut Response) -> Result<Option<Vec<u8>>, ClientError> {
        let piece = response.chunk().await.map_err(|error| self.without_answer(&error))?;
        Ok(piece.map(Into::into))
    }

    /// Fetches what decided a result.
    pub async fn manifest(&self, id: ExperimentId) -> Result<Document, ClientError> {
        self.get(&["v1", "experiments", &id.to_string(), "manifest"], &[]).await
    }

    /// Fetches a result with all that it is computed from, as it comes.
    pub async fn bundle(&self, id: ExperimentId) -> Result<Response, ClientError> {
        let url = self.address.at(&["v1", "experiments", &id.to_string(), "bundle"], &[]);
        self.open(|| self.http.get(url.clone())).await
    }

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
                let what = "its answer is no JSON object; is a prefix path missing in --server?".to_owned();
                Err(ClientError::Foreign {
                    server: self.address.to_string(),
                    what,
                })
            }
        }
    }
}
