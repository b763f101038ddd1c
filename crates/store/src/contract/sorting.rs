use super::super::{Cursor, ListOrder, ListQuery, Store};
use super::fixtures::{at, claim, failure, new_experiment, queued, report, running};
use joulemark_experiment::access::Actor;
use joulemark_experiment::{ExperimentId, State};

/// Returns an experiment of `submitter` that failed at second `finished_sec`; a queued one for `None`.
async fn stored(store: &Store, submitter: &str, labels: &[(&str, &str)], finished_sec: Option<i64>) -> ExperimentId {
    let mut new = new_experiment(labels);
    new.submitted_by = Actor {
        name: Some(submitter.to_owned()),
        ..Actor::default()
    };
    store.insert(&new).await.unwrap();
    if let Some(sec) = finished_sec {
        let attempt = claim(store, new.id, at(1)).await.unwrap().unwrap();
        store.fail(new.id, attempt, &failure(), at(sec)).await.unwrap();
    }
    new.id
}

/// Lists all experiments in pages of `limit`, each from the cursor of the previous page.
async fn walked(store: &Store, query: &ListQuery, limit: u32) -> Vec<ExperimentId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = ListQuery {
            after,
            limit,
            ..query.clone()
        };
        let listed = store.list(&page, usize::MAX).await.unwrap();
        let unread = store.unread_page(&page, usize::MAX).await.unwrap();
        let next = listed.records.last().filter(|_| listed.more);
        after = next.map(|last| Cursor::at(last, query.order));
        assert_eq!(unread.next, after);
        let read = unread.rows.iter().map(|row| row.read().unwrap().0);
        assert_eq!(read.collect::<Vec<_>>(), listed.records);
        ids.extend(listed.records.iter().map(|record| record.id));
        if after.is_none() {
            return ids;
        }
    }
}

pub(super) async fn every_order_comes_in_pages_without_gaps_or_repeats(store: Store) {
    let mut by_finish = Vec::new();
    // Two finished at the same time; some are queued.
    for (index, sec) in [Some(9), None, Some(5), Some(7), Some(5), None, Some(3)]
        .into_iter()
        .enumerate()
    {
        let labels = [("team", if index % 2 == 0 { "a" } else { "b" })];
        let id = stored(&store, "ada", &labels, sec).await;
        by_finish.extend(sec.map(|sec| (sec, id, index)));
    }
    by_finish.sort();
    let of_a = |of: &[(i64, ExperimentId, usize)]| {
        let even = of.iter().filter(|(_, _, index)| index % 2 == 0);
        even.map(|(_, id, _)| *id).collect::<Vec<_>>()
    };
    let by_age = store
        .list(
            &ListQuery {
                limit: 10,
                ..ListQuery::default()
            },
            usize::MAX,
        )
        .await
        .unwrap();
    for order in ListOrder::ALL {
        let mut expected = if order.is_by_finish() {
            by_finish.iter().map(|(_, id, _)| *id).collect::<Vec<_>>()
        } else {
            by_age.records.iter().rev().map(|record| record.id).collect()
        };
        let mut expected_of_a = of_a(&by_finish);
        if order.is_descending() {
            expected.reverse();
            expected_of_a.reverse();
        }
        let query = ListQuery {
            order,
            ..ListQuery::default()
        };
        let of_ada = ListQuery {
            submitter: Some("ada".to_owned()),
            ..query.clone()
        };
        let labelled = ListQuery {
            labels: vec![("team".to_owned(), "a".to_owned())],
            state: Some(State::Failed),
            ..query.clone()
        };
        for limit in 1..9 {
            assert_eq!(walked(&store, &query, limit).await, expected, "{order:?} {limit}");
            assert_eq!(walked(&store, &of_ada, limit).await, expected, "{order:?} {limit}");
            let found = walked(&store, &labelled, limit).await;
            if order.is_by_finish() {
                assert_eq!(found, expected_of_a, "{order:?} {limit}");
            } else {
                assert_eq!(found.len(), expected_of_a.len(), "{order:?} {limit}");
            }
        }
    }
}

pub(super) async fn submitter_and_times_filter_every_order(store: Store) {
    let first = stored(&store, "ada", &[("team", "a")], Some(3)).await;
    let second = stored(&store, "bob", &[("team", "a")], Some(5)).await;
    let third = stored(&store, "ada", &[("team", "a")], Some(7)).await;
    let waiting = stored(&store, "ada", &[("team", "a")], None).await;
    let all = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    let labels = vec![("team".to_owned(), "a".to_owned())];
    for labels in [vec![], labels] {
        let by_finish = ListQuery {
            order: ListOrder::FirstFinishedFirst,
            labels,
            ..all.clone()
        };
        for (query, expected) in [
            (
                ListQuery {
                    submitter: Some("ada".to_owned()),
                    ..by_finish.clone()
                },
                vec![first, third],
            ),
            (
                ListQuery {
                    submitter: Some("nobody".to_owned()),
                    ..by_finish.clone()
                },
                vec![],
            ),
            (
                ListQuery {
                    finished_from: Some(at(5)),
                    ..by_finish.clone()
                },
                vec![second, third],
            ),
            (
                ListQuery {
                    finished_before: Some(at(5)),
                    ..by_finish.clone()
                },
                vec![first],
            ),
            (
                ListQuery {
                    finished_from: Some(at(5)),
                    finished_before: Some(at(7)),
                    ..by_finish.clone()
                },
                vec![second],
            ),
            (
                ListQuery {
                    from: Some(second),
                    ..by_finish.clone()
                },
                vec![second, third],
            ),
            (
                ListQuery {
                    before: Some(second),
                    ..by_finish.clone()
                },
                vec![first],
            ),
            (
                ListQuery {
                    state: Some(State::Queued),
                    ..by_finish.clone()
                },
                vec![],
            ),
        ] {
            for limit in 1..4 {
                assert_eq!(walked(&store, &query, limit).await, expected, "{query:?}");
                let order = ListOrder::LastFinishedFirst;
                let mut turned = walked(&store, &ListQuery { order, ..query.clone() }, limit).await;
                turned.reverse();
                assert_eq!(turned, expected, "{query:?}");
            }
        }
    }
    let oldest = ListQuery {
        order: ListOrder::OldestFirst,
        from: Some(second),
        ..all.clone()
    };
    assert_eq!(walked(&store, &oldest, 2).await, [second, third, waiting]);
    // A cursor outside the range does not widen it.
    let outside = ListQuery {
        after: Some(Cursor::new(first, None, ListOrder::OldestFirst)),
        ..oldest
    };
    assert_eq!(store.list(&outside, usize::MAX).await.unwrap().records.len(), 3);
    let of_ada = ListQuery {
        submitter: Some("ada".to_owned()),
        ..all
    };
    assert_eq!(walked(&store, &of_ada, 2).await, [waiting, third, first]);
}

pub(super) async fn an_unread_page_has_each_report_and_is_bounded_in_bytes(store: Store) {
    let waiting = queued(&store).await;
    let completed = running(&store, State::Aggregating).await;
    store.complete(completed, 1, &report(), &[], at(9)).await.unwrap();
    let query = ListQuery {
        limit: 10,
        order: ListOrder::OldestFirst,
        ..ListQuery::default()
    };
    let page = store.unread_page(&query, usize::MAX).await.unwrap();
    let read = page.rows.iter().map(|row| row.read().unwrap()).collect::<Vec<_>>();
    assert_eq!((read[0].0.id, &read[0].1), (waiting, &None));
    assert_eq!((read[1].0.id, &read[1].1), (completed, &Some(report())));
    assert_eq!((page.rows.len(), page.next), (2, None));
    let first = store.unread_page(&query, 0).await.unwrap();
    assert_eq!((first.rows.len(), first.next.is_some()), (1, true));
}

pub(super) async fn every_change_makes_a_new_version(store: Store) {
    let id = queued(&store).await;
    let first = store.version(id).await.unwrap().unwrap();
    assert_eq!((first.state, first.attempt), (State::Queued, 0));
    claim(&store, id, at(1)).await.unwrap();
    let second = store.version(id).await.unwrap().unwrap();
    assert_ne!(first, second);
    store.cancel(id, at(2)).await.unwrap();
    assert_ne!(
        store.version(id).await.unwrap().unwrap(),
        second,
        "the wish to cancel it"
    );
    assert_eq!(store.version(ExperimentId::generate()).await.unwrap(), None);
}
