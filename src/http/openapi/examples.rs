//! Examples of bodies, captured from a running server.

use serde_json::Value;

/// A captured body of a request or an answer. `openapi/capture-examples.py` captures them from a server with a real
/// model.
struct Example {
    operation: &'static str,
    /// A status, or `request`.
    of: &'static str,
    /// File type of the example; JSON examples also illustrate YAML.
    extension: &'static str,
    text: &'static str,
}

macro_rules! example {
    ($operation:literal, $of:literal) => {
        example!($operation, $of, "json")
    };
    ($operation:literal, $of:literal, $extension:literal) => {
        Example {
            operation: $operation,
            of: $of,
            extension: $extension,
            text: include_str!(concat!("examples/", $operation, ".", $of, ".", $extension)),
        }
    };
}

const EXAMPLES: &[Example] = &[
    example!("submitExperiment", "request"),
    example!("submitExperiment", "201"),
    example!("listExperiments", "200"),
    example!("getExperiment", "200"),
    example!("cancelExperiment", "200"),
    example!("cancelExperiment", "202"),
    example!("changeLabels", "request"),
    example!("changeLabels", "200"),
    example!("getResults", "200"),
    example!("getProcesses", "200"),
    example!("getTimeseries", "200"),
    example!("followExperiment", "200", "txt"),
    example!("followExperiments", "200", "txt"),
    example!("exportExperiments", "200", "csv"),
    example!("exportExperiments", "200", "jsonl"),
    example!("exportExperiment", "200", "csv"),
    example!("exportExperiment", "200", "jsonl"),
    example!("compareResults", "request"),
    example!("compareResults", "200"),
    example!("getManifest", "200"),
    example!("getPareto", "200"),
    example!("submitSweep", "request"),
    example!("submitSweep", "201"),
    example!("listSweeps", "200"),
    example!("getSweep", "200"),
    example!("cancelSweep", "200"),
    example!("cancelSweep", "202"),
    example!("exportSweep", "200", "csv"),
    example!("exportSweep", "200", "jsonl"),
    example!("listMetricDefinitions", "200"),
    example!("getMetricDefinition", "200"),
    example!("listDevices", "200"),
    example!("listNodes", "200"),
    example!("countFlops", "request"),
    example!("countFlops", "200"),
    example!("getLimits", "200"),
    example!("listAudit", "200"),
    example!("getMetrics", "200", "txt"),
    example!("healthz", "200"),
    example!("readyz", "200"),
];

/// Adds each example to all media types of its request or answer.
pub fn add(document: &mut Value) {
    for (_, _, operation) in super::operations(document) {
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        for example in EXAMPLES.iter().filter(|example| example.operation == id) {
            let body = match example.of {
                "request" => operation.get_mut("requestBody"),
                status => operation.pointer_mut(&format!("/responses/{status}")),
            };
            let contents = body
                .and_then(|body| body.get_mut("content"))
                .and_then(Value::as_object_mut);
            for (media_type, content) in contents.into_iter().flatten() {
                illustrate(media_type, content, example);
            }
        }
    }
}

/// Adds an example to a media type that it fits.
fn illustrate(media_type: &str, content: &mut Value, example: &Example) {
    let fits = match media_type {
        "text/csv" => example.extension == "csv",
        "application/x-ndjson" => example.extension == "jsonl",
        "text/event-stream" | "text/plain" => example.extension == "txt",
        // Binary files and pages show little in a description, and OpenMetrics differs from the other text only in its
        // end.
        "application/vnd.apache.parquet" | "application/x-tar" | "application/openmetrics-text" | "text/html" => false,
        _ => example.extension == "json",
    };
    if fits {
        // The schema of JSON Lines describes one line.
        content["example"] = serde_json::from_str(example.text).unwrap_or_else(|_| Value::from(example.text));
    }
}
