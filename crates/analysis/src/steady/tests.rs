use super::*;
use crate::fixtures::requests::{request, window};
use crate::fixtures::{host_cycle, spec};
use joulemark_experiment::{ClosedLoad, Load};

/// Creates requests that begin one per second and generate a token each second, for the given number of tokens.
fn requests(of: &[(f64, u32)]) -> Vec<RequestMeasurement> {
    let each = of.iter().enumerate();
    each.map(|(index, (begun, tokens))| {
        let times: Vec<f64> = (1..=*tokens).map(|token| begun + f64::from(token)).collect();
        request(index as u32, 10, &times, *begun)
    })
    .collect()
}

fn of_rank(rank: u32, requests: &[RequestMeasurement]) -> RankRequests<'_> {
    let last = requests
        .iter()
        .map(|request| request.completed_monotonic_sec)
        .fold(0.0, f64::max);
    RankRequests {
        rank,
        window: window(0.0, last),
        requests,
        failed: &[],
    }
}

fn closed(concurrency: u32) -> Spec {
    let mut spec = spec(1, 1);
    spec.load = Some(Load::Closed {
        closed: ClosedLoad { concurrency },
    });
    spec
}

#[test]
fn a_closed_load_is_full_until_the_first_answer_that_no_request_follows() {
    // Two in flight from 1 on; the one that begins at 5 ends at 9, and nothing follows it.
    let requests = requests(&[(0.0, 4), (1.0, 4), (4.0, 6), (5.0, 4)]);
    let rank = of_rank(0, &requests);
    let found = steady_window(&closed(2), &[rank]).unwrap();
    assert_eq!(found, window(1.0, 9.0));
    let (inference, latencies) = steady_inference(&closed(2), &rank, &found);
    // Tokens at 1 to 4, at 2 to 5, at 5 to 8 of those to 10, and at 6 to 8 of those to 9: the window does not include
    // 9.
    assert_eq!(inference.output_tokens, Some(4 + 4 + 4 + 3));
    assert_eq!(inference.input_tokens, Some(40), "all first tokens came in it");
    assert_eq!(inference.tokens_per_second, Some(15.0 / 8.0));
    assert_eq!(
        latencies.iter().map(|request| request.prompt_index).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(
        (inference.mean_ttft_ms, inference.mean_tpot_ms),
        (Some(1000.0), Some(1000.0))
    );
}

#[test]
fn a_load_that_is_never_full_or_hardly_ever_has_no_steady_state_and_says_why() {
    let few = requests(&[(0.0, 4), (1.0, 4)]);
    let told = |concurrency: u32, requests: &[RequestMeasurement]| {
        steady_window(&closed(concurrency), &[of_rank(0, requests)]).unwrap_err()
    };
    assert!(told(3, &few).contains("never reached its concurrency of 3: it had 2 requests in total"));
    let short = told(2, &few);
    assert!(
        short.contains("full for 3.000 s, in which rank 0 answered 1 requests"),
        "{short}"
    );
    let later = requests(&[(10.0, 4)]);
    let mut two = spec(2, 1);
    two.batch_size = 1;
    let earlier = requests(&[(0.0, 4)]);
    let apart = steady_window(&two, &[of_rank(0, &earlier), of_rank(1, &later)]).unwrap_err();
    assert_eq!(apart, "the ranks' loads were never full at the same time");
}

#[test]
fn requests_that_fail_are_in_flight_until_they_do() {
    let requests = requests(&[(0.0, 4), (4.0, 4)]);
    let failed = [FailedRequest {
        prompt_index: 2,
        reason: joulemark_measurement::RequestFailure::TimedOut,
        due_monotonic_sec: None,
        sent_monotonic_sec: Some(2.0),
        ended_monotonic_sec: Some(7.0),
    }];
    let rank = RankRequests {
        failed: &failed,
        ..of_rank(0, &requests)
    };
    assert_eq!(full(&rank, 2), Some(window(2.0, 7.0)));
}

#[test]
fn an_open_load_is_steady_once_latencies_settle_and_until_the_last_one_comes() {
    let mut open = spec(1, 1);
    open.load =
        Some(serde_json::from_value(serde_json::json!({"open": {"rate_per_sec": 1, "requests": 100}})).unwrap());
    let steady: Vec<_> = (0..100).map(|at| (f64::from(at), 3)).collect();
    let steady = requests(&steady);
    assert_eq!(steady_window(&open, &[of_rank(0, &steady)]), Ok(window(0.0, 99.0)));
    let growing: Vec<_> = (0..100).map(|at| (f64::from(at), 3 + at)).collect();
    let growing = steady_window(&open, &[of_rank(0, &requests(&growing))]).unwrap_err();
    assert!(growing.starts_with("latencies never settled"), "{growing}");
    let few = steady_window(&open, &[of_rank(0, &steady[..49])]).unwrap_err();
    assert!(
        few.contains("at least 50 answered requests") && few.ends_with("there are 49"),
        "{few}"
    );
}

#[test]
fn a_server_that_counts_at_the_end_has_its_tokens_spread_over_its_chunks() {
    let chunk = |monotonic_sec: f64, tokens| AnswerChunk { monotonic_sec, tokens };
    let mut served = RequestMeasurement {
        input_tokens: 7,
        output_tokens: 8,
        chunks: (1..=4).map(|at| chunk(f64::from(at), None)).collect(),
        ..RequestMeasurement::default()
    };
    let half = clipped(&served, |at| at > 2.0);
    assert_eq!((half.output_tokens, half.input_tokens, half.chunks.len()), (4, 0, 2));
    served.chunks = (1..=4)
        .map(|at| chunk(f64::from(at), Some(2 * (at - 1).min(1) + 1)))
        .collect();
    served.output_tokens = 10;
    assert_eq!(clipped(&served, |at| at < 2.0).output_tokens, 1);
}

#[test]
fn figures_over_all_cycles_need_a_steady_state_of_each() {
    let requests = requests(&[(0.0, 4), (4.0, 4)]);
    let one = spec(1, 2);
    let part = |cycle: u32, window: Result<Window, String>| {
        let rank = |window: &Window| {
            let (inference, requests) = steady_inference(&one, &of_rank(0, &requests), window);
            RankCycle {
                inference,
                requests,
                window: *window,
                ..crate::fixtures::rank_cycle(0, cycle, 0.0, 8.0)
            }
        };
        SteadyPart {
            cycle,
            whole: self::window(0.0, 16.0),
            ranks: window.iter().map(rank).collect(),
            host: window.as_ref().ok().map(|_| host_cycle(cycle, 80.0, 10.0)),
            window,
        }
    };
    let whole = steady_state(
        &one,
        vec![part(0, Ok(window(0.0, 8.0))), part(1, Ok(window(0.0, 8.0)))],
        &[],
    )
    .unwrap();
    assert_eq!(whole.inference.unwrap().output_tokens, Some(14));
    assert_eq!(whole.efficiency.unwrap().joules_per_output_token, Some(44.0 / 14.0));
    assert_eq!((whole.cycles[0].share_of_cycle, whole.why_none), (Some(0.5), None));
    let half = steady_state(
        &one,
        vec![part(0, Ok(window(0.0, 8.0))), part(1, Err("it is short".to_owned()))],
        &[],
    )
    .unwrap();
    assert_eq!((half.inference.is_none(), half.energy.is_none()), (true, true));
    assert_eq!(half.why_none.as_deref(), Some("cycle 1: it is short"));
    assert!(half.cycles[0].energy.is_some() && half.cycles[1].energy.is_none());
    assert_eq!(steady_state(&one, Vec::new(), &[]), None);
}
