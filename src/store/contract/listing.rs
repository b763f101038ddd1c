use super::super::{ListQuery, Store};
use super::fixtures::{at, claim, failure, new_experiment, queued, running};
use crate::experiment::{ExperimentId, State};

async fn ids(store: &Store, query: ListQuery) -> Vec<ExperimentId> {
    store
        .list(&query)
        .await
        .unwrap()
        .iter()
        .map(|record| record.id)
        .collect()
}

pub async fn pages_go_from_the_newest_to_the_oldest_without_gaps(store: Store) {
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
        // What comes in meanwhile is newer than the cursor and does not move the pages.
        queued(&store).await;
        listed.extend(page);
    }
    inserted.reverse();
    assert_eq!(listed, inserted);
}

pub async fn state_and_label_narrow_a_list_each_and_together(store: Store) {
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
        label: Some(("team".to_owned(), "a".to_owned())),
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
    let older = ListQuery {
        before: Some(labelled[3]),
        ..team_a
    };
    assert_eq!(ids(&store, older).await, [labelled[0]]);
}

pub async fn every_state_is_counted(store: Store) {
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
