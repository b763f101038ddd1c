use super::super::Store;
use super::fixtures::{at, queued, rank_cycle, report, running};
use super::timeseries::timeseries;
use joulemark_experiment::{ExperimentId, State};

async fn completed(store: &Store) -> ExperimentId {
    let id = running(store, State::Aggregating).await;
    store
        .store_unprepared_timeseries(id, 1, &timeseries(200.5), at(9))
        .await
        .unwrap();
    store
        .complete(id, 1, &report(), &[rank_cycle(0, 0)], at(9))
        .await
        .unwrap();
    id
}

pub(super) async fn stored_data_is_counted_and_passes_the_check(store: Store) {
    queued(&store).await;
    completed(&store).await;
    store.require_present_schema().await.unwrap();
    let contents = store.contents().await.unwrap();
    let counted = |wanted| {
        contents
            .by_state
            .iter()
            .find(|(state, _)| *state == wanted)
            .map(|(_, count)| *count)
    };
    assert_eq!((counted(State::Queued), counted(State::Completed)), (Some(1), Some(1)));
    assert_eq!(
        (
            contents.raw_experiments,
            contents.samples.points,
            contents.tokens.points
        ),
        (1, 3, 2)
    );
    assert_eq!(contents.samples.bytes + contents.tokens.bytes, contents.raw_bytes);
    assert_eq!(store.problems().await.unwrap(), Vec::<String>::new());
    store.vacuum().await.unwrap();
}

pub(super) async fn unreadable_or_inconsistent_data_is_named(store: Store) {
    let spoilt = [(); 5];
    let mut ids = Vec::new();
    for () in spoilt {
        ids.push(completed(&store).await);
    }
    for (text, id) in [
        ("UPDATE experiments SET spec = '{' WHERE id = $1", ids[0]),
        (
            "UPDATE reports SET report = '[]', packed = NULL WHERE experiment_id = $1",
            ids[1],
        ),
        ("DELETE FROM reports WHERE experiment_id = $1", ids[2]),
        ("UPDATE experiments SET state = 'failed' WHERE id = $1", ids[3]),
        (
            "UPDATE raw_blocks SET columns = (SELECT columns FROM raw_blocks WHERE experiment_id = $1 AND stream = 'device/0') \
          WHERE experiment_id = $1",
            ids[4],
        ),
    ] {
        sqlx::query(text)
            .bind(id.to_string())
            .execute(&store.writes)
            .await
            .unwrap();
    }
    let problems = store.problems().await.unwrap();
    for (id, expected) in ids.iter().zip([
        "the spec of experiment",
        "the report of experiment",
        "is completed and has no results",
        "has results and is neither completed nor cancelled",
        "a block of requests/0/0",
    ]) {
        let of_it = problems
            .iter()
            .filter(|problem| problem.contains(&id.to_string()))
            .collect::<Vec<_>>();
        assert!(
            of_it.len() == 1 && of_it[0].contains(expected),
            "{expected}: {problems:#?}"
        );
    }
    assert_eq!(problems.len(), ids.len(), "{problems:#?}");
}
