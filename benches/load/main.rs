//! How long requests of an open load wait for the synthetic engine, beside what queueing theory has for them; on an idle machine,
//! three minutes:
//!
//!     cargo bench --bench load
//!
//! The engine takes one request at a time and as long for each, and requests come as Poisson has them: M/D/1, whose mean waiting
//! time is by Pollaczek and Khinchine utilisation / (2 · (1 - utilisation)) service times. A few thousand arrivals wait for another
//! time than the mean of all that could have come: what these very ones wait for before such an engine, by Lindley's recursion,
//! stands beside.

use joulemark_testkit::server::Server;
use serde_json::{Value, json};

/// Shares of the engine's capacity that are offered, with how many requests of each.
const OFFERED: [(f64, u32); 3] = [(0.5, 2000), (0.9, 4000), (1.2, 1000)];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = Server::start();
        let alone = json!({"rate_per_sec": 10.0, "arrivals": "constant", "requests": 60});
        let service_ms = number(&results(&server, &alone).await.0["service_ms"]["mean"]);
        println!(
            "| offered | utilisation | service | waits | these arrivals | M/D/1 | sender's lag, p99 | saturated |"
        );
        println!("|---|---|---|---|---|---|---|---|");
        for (share, requests) in OFFERED {
            let open = json!({"rate_per_sec": share * 1e3 / service_ms, "requests": requests, "seed": 1});
            println!("{}", row(share, &results(&server, &open).await));
        }
    });
}

fn row(share: f64, (report, requests): &(Value, Vec<Value>)) -> String {
    let service_ms = number(&report["service_ms"]["mean"]);
    let utilisation = number(&report["offered_per_sec"]) * service_ms / 1e3;
    let of_theory = match utilisation < 1.0 {
        true => format!("{:.1} ms", service_ms * utilisation / (2.0 * (1.0 - utilisation))),
        false => "none".to_owned(),
    };
    format!(
        "| {share} of capacity | {utilisation:.3} | {service_ms:.2} ms | {:.1} ms | {:.1} ms | {of_theory} | {:.2} ms | {} |",
        number(&report["queueing_ms"]["mean"]),
        lindley_ms(requests, service_ms),
        number(&report["sender_lag_ms"]["p99"]),
        report["saturated"]
    )
}

/// Returns how long the requests wait for an engine that takes one at a time and `service_ms` for each.
fn lindley_ms(requests: &[Value], service_ms: f64) -> f64 {
    let (mut free_ms, mut waited_ms) = (0.0_f64, 0.0);
    for request in requests {
        let due_ms = number(&request["due_monotonic_sec"]) * 1e3;
        let begun_ms = free_ms.max(due_ms);
        free_ms = begun_ms + service_ms;
        waited_ms += begun_ms - due_ms;
    }
    waited_ms / requests.len() as f64
}

/// Returns what is reported of a load, and its requests in the order in which they came.
async fn results(server: &Server, open: &Value) -> (Value, Vec<Value>) {
    let experiment = json!({
        "model_name": "synthetic:prefill_ms=20", "prompts": ["a"], "max_output_tokens": 1, "min_output_tokens": 1,
        "num_cycles": 1, "warmup_iterations": 3, "idle_baseline_sec": 0, "load": {"open": open},
    });
    let id = server.accepted(&experiment).await;
    while server.show(&id).await["state"] != "completed" {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let processes = server.processes(&id).await;
    let requests = processes["items"][0]["requests"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    (server.results(&id).await["load_report"].clone(), requests)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is a number"))
}
