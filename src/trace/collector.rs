use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;

use super::Traces;

/// A collector that takes longer for a batch has lost it.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error("otlp_endpoint cannot be used: {0}")]
    Endpoint(#[from] ExporterBuildError),
}

/// Spans of this server, `node` of the service `joulemark`, go to `/v1/traces` under `endpoint`, as protobuf over HTTP.
/// Nothing is sent by this call, and nothing waits for the collector. `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`
/// and `OTEL_BSP_*` are read as OpenTelemetry's specification says.
///
/// # Errors
/// When the endpoint is no URL, or TLS cannot be had.
pub fn connect(endpoint: &str, node: &str) -> Result<Traces, TraceError> {
    let client = Client {
        http: reqwest::Client::builder().timeout(PATIENCE).build()?,
        runtime: Handle::current(),
        is_away: Arc::default(),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()?;
    let mut resource = Resource::builder().with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", node.to_owned()),
    ]);
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("joulemark");
    }
    let provider = SdkTracerProvider::builder().with_resource(resource.build());
    Ok(Traces::to(provider.with_batch_exporter(exporter).build()))
}

/// The exporter's thread asks, the server's runtime sends: our reqwest is of another version than the exporter's own.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    /// Said once for all batches that a collector misses.
    is_away: Arc<AtomicBool>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.http.execute(request.try_into()?).await;
        let outcome = match sent {
            Ok(answer) => answer.error_for_status(),
            Err(error) => Err(error),
        };
        let was_away = self.is_away.swap(outcome.is_err(), Ordering::Relaxed);
        match (&outcome, was_away) {
            (Err(error), false) => {
                tracing::warn!(%error, "spans do not reach the collector, and are lost until they do");
            }
            (Ok(_), true) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        let answer = outcome?;
        let status = answer.status();
        let mut response = Response::new(answer.bytes().await?);
        *response.status_mut() = status;
        Ok(response)
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Sent<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let sending = self.runtime.spawn(self.clone().send(request));
        Box::pin(async move { sending.await? })
    }
}
