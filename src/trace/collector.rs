//! Connects to an OpenTelemetry collector.

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

/// Timeout of one batch, which is lost when the collector takes longer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Error in setting up the exporter.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("the HTTP client cannot be created: {0}")]
    Client(#[from] reqwest::Error),
    #[error("otlp_endpoint cannot be used: {0}")]
    Endpoint(#[from] ExporterBuildError),
}

/// Creates the exporter, which sends the spans of this server, `node` of the service `joulemark`, to `/v1/traces` under
/// `endpoint` as protobuf over HTTP. This call sends nothing, and later calls do not wait for the collector. Reads
/// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME` and `OTEL_BSP_*` as specified by OpenTelemetry.
///
/// # Errors
/// Returns an error when the endpoint is not a URL or TLS cannot be initialized.
pub fn connect(endpoint: &str, node: &str) -> Result<Traces, TraceError> {
    let client = Client {
        http: reqwest::Client::builder().timeout(TIMEOUT).build()?,
        runtime: Handle::current(),
        is_unreachable: Arc::default(),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(TIMEOUT)
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

/// HTTP client that the exporter's thread calls and the server's runtime runs. It exists because our reqwest is another
/// version than the exporter's.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    /// Whether the collector was unreachable last time, so that this is logged only once.
    is_unreachable: Arc<AtomicBool>,
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
        let was_unreachable = self.is_unreachable.swap(outcome.is_err(), Ordering::Relaxed);
        match (&outcome, was_unreachable) {
            (Err(error), false) => {
                tracing::warn!(%error, "the collector cannot be reached, and spans are lost until it can");
            }
            (Ok(_), true) => tracing::info!("the collector can be reached again"),
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
