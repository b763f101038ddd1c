use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use super::super::{ListOrder, ListQuery, Relabelled, Store};
use super::fixtures::{at, claim, new_experiment, record, report, running};
use joulemark_experiment::access::{Action, Actor, AuditEntry};
use joulemark_experiment::{ExperimentId, LabelChanges, State};

fn changes(document: &Value) -> LabelChanges {
    LabelChanges::read(document).unwrap()
}

fn entry(id: ExperimentId, sec: i64) -> AuditEntry {
    let actor = Actor {
        name: Some("ada".to_owned()),
        ..Actor::default()
    };
    AuditEntry::new(Action::Relabel, id, &actor, at(sec))
}

async fn labels(store: &Store, id: ExperimentId) -> Value {
    json!(record(store, id).await.spec.labels)
}

/// Returns the experiments with a label as listed by age and by time of finish.
async fn found(store: &Store, label: &str, value: &str) -> Vec<Vec<ExperimentId>> {
    let list = async |order| {
        let query = ListQuery {
            limit: 10,
            labels: vec![(label.to_owned(), value.to_owned())],
            order,
            ..ListQuery::default()
        };
        let listed = store.list(&query, usize::MAX).await.unwrap().records;
        listed.iter().map(|record| record.id).collect::<Vec<_>>()
    };
    vec![
        list(ListOrder::NewestFirst).await,
        list(ListOrder::LastFinishedFirst).await,
    ]
}

pub(super) async fn labels_change_in_every_state_and_lists_find_them(store: Store) {
    let new = new_experiment(&[("team", "a"), ("größe", "½")]);
    let id = new.id;
    store.insert(&new).await.unwrap();
    let change = async |document: Value, sec| {
        let outcome = store.relabel(id, &changes(&document), &entry(id, sec)).await.unwrap();
        assert_eq!(outcome, Relabelled::Done);
    };
    change(json!({"team": "b '; --", "größe": null, "new": "ü"}), 1).await;
    assert_eq!(labels(&store, id).await, json!({"team": "b '; --", "new": "ü"}));
    assert_eq!(found(&store, "team", "b '; --").await, [vec![id], vec![]]);
    assert_eq!(found(&store, "team", "a").await, [vec![], vec![]]);
    claim(&store, id, at(2)).await.unwrap();
    change(json!({"team": "c"}), 3).await;
    super::fixtures::advance_to(&store, id, State::Aggregating).await;
    store.complete(id, 1, &report(), &[], at(9)).await.unwrap();
    assert_eq!(found(&store, "team", "c").await, [vec![id], vec![id]]);
    change(json!({"team": "d", "new": null}), 10).await;
    assert_eq!(found(&store, "team", "d").await, [vec![id], vec![id]]);
    assert_eq!(found(&store, "team", "c").await, [vec![], vec![]]);
    let shown = record(&store, id).await;
    assert_eq!(json!(shown.spec.labels), json!({"team": "d"}));
    assert_eq!((shown.finished_at, shown.state), (Some(at(9)), State::Completed));
    let query = ListQuery {
        limit: 1,
        ..ListQuery::default()
    };
    let page = store.unread_page(&query, usize::MAX).await.unwrap();
    let (exported, _) = page.rows[0].read().unwrap();
    assert_eq!(json!(exported.spec.labels), json!({"team": "d"}));
    assert_eq!(store.problems().await.unwrap(), Vec::<String>::new());
    let log = store.audit_log(None, 10).await.unwrap();
    let told = log.iter().filter(|line| line.action == Action::Relabel);
    assert_eq!(told.count(), 3);
}

pub(super) async fn a_claim_returns_the_present_labels(store: Store) {
    let new = new_experiment(&[("team", "a")]);
    store.insert(&new).await.unwrap();
    let (to_b, entry) = (changes(&json!({"team": "b"})), entry(new.id, 1));
    assert_eq!(store.relabel(new.id, &to_b, &entry).await.unwrap(), Relabelled::Done);
    let claim = super::super::Claim {
        holder: "one",
        node_name: "one",
        gpus: &[],
        device_count: 1,
        lease: std::time::Duration::from_secs(60),
    };
    let claimed = store.claim(new.id, &claim, at(2)).await.unwrap().unwrap();
    assert_eq!(json!(claimed.record.unwrap().spec.labels), json!({"team": "b"}));
}

pub(super) async fn each_change_of_labels_makes_a_new_version(store: Store) {
    let id = running(&store, State::Aggregating).await;
    store.complete(id, 1, &report(), &[], at(9)).await.unwrap();
    let mut versions = vec![store.version(id).await.unwrap().unwrap()];
    // Also when the clock has gone back.
    for (value, sec) in [("a", 9), ("b", 9), ("c", 1), ("d", 20)] {
        let changes = changes(&json!({"team": value}));
        store.relabel(id, &changes, &entry(id, sec)).await.unwrap();
        let version = store.version(id).await.unwrap().unwrap();
        assert!(!versions.contains(&version), "{value}");
        versions.push(version.clone());
        store.relabel(id, &changes, &entry(id, sec)).await.unwrap();
        assert_eq!(store.version(id).await.unwrap(), Some(version), "{value} again");
    }
    let log = store.audit_log(None, 50).await.unwrap();
    assert_eq!(log.iter().filter(|line| line.action == Action::Relabel).count(), 4);
}

pub(super) async fn too_many_labels_change_nothing(store: Store) {
    let new = new_experiment(&[("team", "a")]);
    store.insert(&new).await.unwrap();
    let many: BTreeMap<_, _> = (0..64).map(|number| (format!("n{number}"), "x")).collect();
    let outcome = store
        .relabel(new.id, &changes(&json!(many)), &entry(new.id, 1))
        .await
        .unwrap();
    assert_eq!(outcome, Relabelled::TooMany(65));
    assert_eq!(labels(&store, new.id).await, json!({"team": "a"}));
    let mut room = json!(many);
    room["team"] = Value::Null;
    let outcome = store.relabel(new.id, &changes(&room), &entry(new.id, 1)).await.unwrap();
    assert_eq!(outcome, Relabelled::Done);
    assert_eq!(record(&store, new.id).await.spec.labels.len(), 64);
    let unknown = ExperimentId::generate();
    let outcome = store
        .relabel(unknown, &changes(&json!({})), &entry(unknown, 1))
        .await
        .unwrap();
    assert_eq!(outcome, Relabelled::NotFound);
}

pub(super) async fn concurrent_changes_of_labels_are_all_applied(store: Store) {
    let new = new_experiment(&[]);
    store.insert(&new).await.unwrap();
    let each = (0..30).map(|number| {
        let document = json!({format!("n{number}"): number.to_string()});
        let (store, id) = (&store, new.id);
        async move { store.relabel(id, &changes(&document), &entry(id, 1)).await.unwrap() }
    });
    let outcomes = join_all(each).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Relabelled::Done));
    assert_eq!(record(&store, new.id).await.spec.labels.len(), 30);
}
