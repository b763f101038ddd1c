use super::super::{ListOrder, ListQuery, Store};
use super::fixtures::{at, claim, failure, new_experiment, queued, running};
use joulemark_experiment::{ExperimentId, State};

async fn ids(store: &Store, query: ListQuery) -> Vec<ExperimentId> {
    let listed = store.list(&query, usize::MAX).await.unwrap();
    listed.records.iter().map(|record| record.id).collect()
}

pub(super) async fn pages_go_from_the_newest_to_the_oldest_without_gaps(store: Store) {
    let mut inserted = Vec::new();
    for _ in 0..5 {
        inserted.push(queued(&store).await);
    }
    let mut listed = Vec::new();
    let mut before = None;
    loop {
        let page = ids(
            &store,
            ListQuery {
                before,
                limit: 2,
                ..ListQuery::default()
            },
        )
        .await;
        let Some(last) = page.last() else { break };
        before = Some(*last);
        // An experiment submitted meanwhile is newer than the cursor and does not shift the pages.
        queued(&store).await;
        listed.extend(page);
    }
    inserted.reverse();
    assert_eq!(listed, inserted);
}

pub(super) async fn state_and_labels_filter_a_list(store: Store) {
    let mut labelled = Vec::new();
    for labels in [
        &[("team", "a"), ("run", "1")][..],
        &[("team", "b")],
        &[],
        &[("team", "a")],
        &[("run", "a")],
    ] {
        let new = new_experiment(labels);
        store.insert(&new).await.unwrap();
        labelled.push(new.id);
    }
    claim(&store, labelled[0], at(1)).await.unwrap();
    claim(&store, labelled[1], at(1)).await.unwrap();
    let all = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    let starting = ListQuery {
        state: Some(State::Starting),
        ..all.clone()
    };
    let team_a = ListQuery {
        labels: vec![("team".to_owned(), "a".to_owned())],
        ..all.clone()
    };
    let both = ListQuery {
        state: Some(State::Starting),
        ..team_a.clone()
    };
    assert_eq!(ids(&store, all).await.len(), 5);
    assert_eq!(ids(&store, starting).await, [labelled[1], labelled[0]]);
    assert_eq!(ids(&store, team_a.clone()).await, [labelled[3], labelled[0]]);
    assert_eq!(ids(&store, both).await, [labelled[0]]);
    let run_too = ListQuery {
        labels: vec![("team".to_owned(), "a".to_owned()), ("run".to_owned(), "1".to_owned())],
        ..ListQuery::default()
    };
    for state in [None, Some(State::Starting)] {
        let query = ListQuery {
            state,
            limit: 10,
            ..run_too.clone()
        };
        assert_eq!(ids(&store, query).await, [labelled[0]], "{state:?}");
    }
    let more = |label: &str, value: &str| {
        let mut labels = run_too.labels.clone();
        labels.push((label.to_owned(), value.to_owned()));
        ListQuery {
            limit: 10,
            labels,
            ..ListQuery::default()
        }
    };
    assert_eq!(ids(&store, more("run", "1")).await, [labelled[0]], "one is named twice");
    assert_eq!(ids(&store, more("run", "2")).await, [], "none has two values");
    let older = ListQuery {
        before: Some(labelled[3]),
        ..team_a
    };
    assert_eq!(ids(&store, older).await, [labelled[0]]);
}

pub(super) async fn model_and_age_filter_a_list(store: Store) {
    let mut inserted = Vec::new();
    for model_name in ["a.gguf", "b.gguf", "a.gguf"] {
        let mut new = new_experiment(&[("team", "a")]);
        new.spec.model_name = model_name.to_owned();
        store.insert(&new).await.unwrap();
        inserted.push(new.id);
    }
    let of_a = ListQuery {
        limit: 10,
        model_name: Some("a.gguf".to_owned()),
        ..ListQuery::default()
    };
    assert_eq!(ids(&store, of_a.clone()).await, [inserted[2], inserted[0]]);
    let of_nobody = ListQuery {
        user_name: Some("nobody".to_owned()),
        ..of_a.clone()
    };
    assert_eq!(ids(&store, of_nobody).await, []);
    let none = ListQuery {
        model_name: Some("a".to_owned()),
        ..of_a.clone()
    };
    assert_eq!(ids(&store, none).await, []);
    let labels = vec![("team".to_owned(), "a".to_owned())];
    let newer = ListQuery {
        from: Some(inserted[1]),
        before: Some(ExperimentId::first_at(jiff::Timestamp::MAX)),
        labels,
        ..of_a
    };
    assert_eq!(ids(&store, newer.clone()).await, [inserted[2]]);
    let all_models = ListQuery {
        model_name: None,
        before: Some(inserted[2]),
        ..newer
    };
    assert_eq!(ids(&store, all_models).await, [inserted[1]]);
}

pub(super) async fn the_engine_filters_a_list_in_every_order(store: Store) {
    let mut inserted = Vec::new();
    for (sec, engine) in [(1, "mistral"), (2, "llama-server"), (3, "mistral"), (4, "vllm")] {
        let mut new = new_experiment(&[("engine", "vllm")]);
        new.spec.engine = engine.to_owned();
        store.insert(&new).await.unwrap();
        let attempt = claim(&store, new.id, at(1)).await.unwrap().unwrap();
        store.fail(new.id, attempt, &failure(), at(sec)).await.unwrap();
        inserted.push(new.id);
    }
    let of = |engine: &str, order| ListQuery {
        limit: 10,
        engine: Some(engine.to_owned()),
        order,
        ..ListQuery::default()
    };
    for order in ListOrder::ALL {
        let mut expected = vec![inserted[0], inserted[2]];
        if order.is_descending() {
            expected.reverse();
        }
        assert_eq!(ids(&store, of("mistral", order)).await, expected, "{order:?}");
        assert_eq!(ids(&store, of("vllm", order)).await, [inserted[3]], "{order:?}");
        assert_eq!(ids(&store, of("mistra", order)).await, [], "{order:?}");
    }
    let of_another_model = ListQuery {
        model_name: Some("another".to_owned()),
        ..of("vllm", ListOrder::default())
    };
    assert_eq!(ids(&store, of_another_model).await, []);
}

pub(super) async fn a_page_is_bounded_in_number_and_in_bytes(store: Store) {
    for _ in 0..3 {
        queued(&store).await;
    }
    let query = |limit| ListQuery {
        limit,
        ..ListQuery::default()
    };
    let first = store.list(&query(1), usize::MAX).await.unwrap().records.remove(0);
    let one_and_a_half = serde_json::to_vec(&first.spec).unwrap().len() * 3 / 2;
    for (limit, max_bytes, expected) in [
        (2, usize::MAX, 2),
        (3, usize::MAX, 3),
        (3, 0, 1),
        (3, one_and_a_half, 2),
    ] {
        let listed = store.list(&query(limit), max_bytes).await.unwrap();
        let found = (listed.records.len(), listed.more);
        assert_eq!(found, (expected, expected < 3), "{limit} {max_bytes}");
    }
}

pub(super) async fn every_state_is_counted(store: Store) {
    queued(&store).await;
    queued(&store).await;
    running(&store, State::Measuring).await;
    let failed = running(&store, State::Starting).await;
    store.fail(failed, 1, &failure(), at(3)).await.unwrap();
    let expected = State::ALL.map(|state| match state {
        State::Queued => (state, 2),
        State::Measuring | State::Failed => (state, 1),
        _ => (state, 0),
    });
    assert_eq!(store.counts_by_state().await.unwrap(), expected);
}
