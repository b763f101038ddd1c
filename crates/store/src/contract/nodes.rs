use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Registered, Registration, Store};
use joulemark_experiment::{Capabilities, Gpu, Host, Model, OfferedEngine, OfferedModel};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        hostname: "host-1".to_owned(),
        version: "0.1.0".to_owned(),
        labels: BTreeMap::from([("größe".to_owned(), "½".to_owned())]),
        host: Host {
            gpus: vec![Gpu {
                index: 0,
                uuid: "GPU-a".to_owned(),
                name: "A100".to_owned(),
                compute_capability: "8.0".parse().ok(),
                engine_problem: None,
                power_limits: None,
                clocks: None,
            }],
            cuda_build: true,
            cpus: 8,
            power_problem: None,
            default_dataset: "mixed-64".to_owned(),
            datasets: vec![("mixed-64".to_owned(), 64)],
        },
        models: vec![OfferedModel {
            name: "m.gguf".to_owned(),
            facts: Model {
                is_gguf: true,
                max_context_tokens: Some(2048),
                has_chat_template: true,
                is_pretended: false,
                is_served: false,
            },
        }],
        allow_hub: false,
        allow_synthetic_engine: false,
        prompt_files: vec!["a.jsonl".to_owned()],
        servers: Vec::new(),
        engine_problems: vec!["no driver".to_owned()],
        engines: vec![engine("cuda")],
    }
}

fn engine(feature: &str) -> OfferedEngine {
    OfferedEngine {
        name: "mistral".to_owned(),
        version: "0.1.0".to_owned(),
        engine_version: "0.8.1".to_owned(),
        features: vec![feature.to_owned()],
        compiled_cpu_features: vec!["avx2".to_owned()],
        protocol_version: 1,
        compute_capability: None,
    }
}

async fn register(store: &Store, name: &str, incarnation: &str, seat: &str, lease: Duration) -> Registered {
    let registration = Registration {
        name,
        incarnation,
        seat,
        capabilities: &capabilities(),
        lease,
    };
    store.register(&registration).await.unwrap()
}

async fn live(store: &Store) -> Vec<(String, bool)> {
    let nodes = store.nodes().await.unwrap();
    nodes.into_iter().map(|node| (node.name, node.is_live)).collect()
}

pub(super) async fn a_node_is_listed_with_its_capabilities_and_kept_live_by_heartbeats(store: Store) {
    assert_eq!(store.nodes().await.unwrap(), []);
    assert_eq!(
        register(&store, "b", "b1", "seat b", Duration::ZERO).await,
        Registered::Done
    );
    assert_eq!(register(&store, "a", "a1", "seat a", MINUTE).await, Registered::Done);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(live(&store).await, [("a".to_owned(), true), ("b".to_owned(), false)]);
    let more = Capabilities {
        allow_hub: true,
        engines: vec![engine("cudnn")],
        ..capabilities()
    };
    assert_eq!(store.beat("b", "b1", &more, MINUTE).await.unwrap(), Some(Vec::new()));
    let nodes = store.nodes().await.unwrap();
    assert_eq!(
        (&nodes[0].capabilities, &nodes[1].capabilities),
        (&capabilities(), &more)
    );
    assert!(nodes[1].is_live && nodes[1].heartbeat_at > nodes[1].registered_at);
    assert_eq!(store.beat("b", "another life", &more, MINUTE).await.unwrap(), None);
    assert_eq!(store.beat("unknown", "b1", &more, MINUTE).await.unwrap(), None);
}

pub(super) async fn a_name_belongs_to_one_live_server(store: Store) {
    register(&store, "box", "first", "seat", MINUTE).await;
    let taken = register(&store, "box", "stranger", "other seat", MINUTE).await;
    assert!(
        matches!(taken, Registered::Taken { for_sec } if for_sec > 50.0 && for_sec <= 60.0),
        "{taken:?}"
    );
    assert_eq!(
        register(&store, "box", "first", "seat", MINUTE).await,
        Registered::Done,
        "its own"
    );
    // The same seat shows that the predecessor is dead.
    assert_eq!(
        register(&store, "box", "second", "seat", Duration::ZERO).await,
        Registered::Done
    );
    assert_eq!(store.beat("box", "first", &capabilities(), MINUTE).await.unwrap(), None);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let after = register(&store, "box", "stranger", "other seat", MINUTE).await;
    assert_eq!(after, Registered::Done, "its lease has expired");
    assert_eq!(store.nodes().await.unwrap()[0].incarnation, "stranger");
}

pub(super) async fn a_node_that_shuts_down_is_removed_from_the_list(store: Store) {
    register(&store, "a", "a1", "seat a", MINUTE).await;
    register(&store, "b", "b1", "seat b", MINUTE).await;
    register(&store, "c", "c1", "seat c", Duration::ZERO).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    store.forget_nodes("a1", MINUTE).await.unwrap();
    assert_eq!(live(&store).await, [("b".to_owned(), true), ("c".to_owned(), false)]);
    store.forget_nodes("", Duration::ZERO).await.unwrap();
    assert_eq!(live(&store).await, [("b".to_owned(), true)]);
}

pub(super) async fn a_server_of_a_version_without_engines_offers_the_built_in_one(store: Store) {
    let text = "INSERT INTO nodes (name, incarnation, seat, offer, registered_at_us, heartbeat_at_us, alive_until_us) \
                VALUES ('old', 'o1', 'seat', $1, 0, 0, 0)";
    let capabilities = crate::record::to_json(&capabilities()).unwrap();
    sqlx::query(text)
        .bind(capabilities)
        .execute(&store.writes)
        .await
        .unwrap();
    let nodes = store.nodes().await.unwrap();
    let mistral = nodes[0].capabilities.engine("mistral").expect("it is built in");
    assert_eq!(
        (mistral.engine_version.as_str(), mistral.protocol_version),
        ("0.8.1", 1)
    );
}
