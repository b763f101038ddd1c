use proptest::prelude::*;

use super::*;

const GPUS: [&str; 4] = ["a", "b", "c", "d"];

fn gpus() -> Vec<String> {
    GPUS.map(str::to_owned).to_vec()
}

fn named(names: &[&str]) -> Wanted {
    Wanted {
        named: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Wanted::default()
    }
}

fn any(any_gpus: usize) -> Wanted {
    Wanted {
        any_gpus,
        ..Wanted::default()
    }
}

const CPU: Wanted = Wanted {
    named: Vec::new(),
    any_gpus: 0,
    unfit: Vec::new(),
    cpu: true,
    host: false,
};
const HOST: Wanted = Wanted {
    named: Vec::new(),
    any_gpus: 0,
    unfit: Vec::new(),
    cpu: true,
    host: true,
};

fn leased(names: &[&str]) -> HashSet<Lease> {
    names.iter().map(|name| Lease::Gpu((*name).to_owned())).collect()
}

fn planned(queue: &[Wanted], leased: &HashSet<Lease>) -> Vec<(usize, Vec<String>)> {
    let candidates = queue.iter().enumerate().map(|(key, wanted)| Candidate {
        key,
        wanted: wanted.clone(),
        reserves_here: true,
    });
    let gpus = gpus();
    let devices = Devices { gpus: &gpus, leased };
    let starts = plan(&candidates.collect::<Vec<_>>(), &devices);
    starts.into_iter().map(|start| (start.key, start.gpus)).collect()
}

fn keys(queue: &[Wanted], leased: &HashSet<Lease>) -> Vec<usize> {
    planned(queue, leased).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_device_never_serves_two_experiments() {
    let queue = [named(&["a"]), named(&["a"]), named(&["b"]), CPU, CPU];
    assert_eq!(keys(&queue, &HashSet::new()), [0, 2, 3]);
    assert_eq!(keys(&queue, &leased(&["a"])), [2, 3]);
}

#[test]
fn devices_that_an_older_experiment_waits_for_are_reserved() {
    let queue = [named(&["a", "b"]), named(&["b"]), named(&["c"]), any(1)];
    assert_eq!(keys(&queue, &leased(&["a"])), [2, 3]);
    let three_of_four = [any(3), any(1), any(1)];
    assert!(
        keys(&three_of_four, &leased(&["a", "b"])).is_empty(),
        "both free ones are reserved"
    );
    assert_eq!(keys(&three_of_four, &leased(&["a"])), [0]);
}

#[test]
fn any_gpu_is_a_free_one() {
    assert_eq!(
        planned(&[any(2), any(1)], &leased(&["a"])),
        [(0, vec!["b".to_owned(), "c".to_owned()]), (1, vec!["d".to_owned()])]
    );
}

#[test]
fn an_experiment_that_wants_the_host_alone_waits_for_all_and_then_excludes_all() {
    assert!(keys(&[HOST, any(1), CPU], &leased(&["c"])).is_empty());
    assert_eq!(keys(&[HOST, any(1), CPU], &HashSet::new()), [0]);
    assert_eq!(keys(&[any(1), HOST, CPU], &HashSet::new()), [0]);
}

#[test]
fn a_node_that_reserves_nothing_for_a_large_experiment_goes_on_with_small_ones() {
    let gpus = gpus();
    let candidate = |key, wanted, reserves_here| Candidate {
        key,
        wanted,
        reserves_here,
    };
    let queue = [candidate(0, any(4), false), candidate(1, any(1), true)];
    let some = leased(&["a"]);
    let starts = plan(
        &queue,
        &Devices {
            gpus: &gpus,
            leased: &some,
        },
    );
    assert_eq!(starts.iter().map(|start| start.key).collect::<Vec<_>>(), [1]);
}

fn arbitrary() -> impl Strategy<Value = Wanted> {
    let names = proptest::sample::subsequence(GPUS.to_vec(), 1..=4);
    prop_oneof![
        names.prop_map(|names| named(&names)),
        (1_usize..=4, any_bool()).prop_map(|(count, cpu)| Wanted { cpu, ..any(count) }),
        Just(CPU),
        Just(HOST),
    ]
}

fn any_bool() -> impl Strategy<Value = bool> {
    prop_oneof![Just(true), Just(false)]
}

fn arbitrary_leased() -> impl Strategy<Value = HashSet<Lease>> {
    proptest::sample::subsequence(GPUS.to_vec(), 0..=4).prop_map(|names| leased(&names))
}

#[test]
fn any_gpu_excludes_those_that_the_engine_cannot_compute_on() {
    let one = Wanted {
        unfit: vec!["a".to_owned(), "c".to_owned()],
        ..any(1)
    };
    let queue = [one.clone(), one.clone(), one, any(1)];
    let given = planned(&queue, &leased(&[]));
    let expected = [(0, "b"), (1, "d"), (3, "a")].map(|(key, gpu)| (key, vec![gpu.to_owned()]));
    assert_eq!(given, expected);
}

proptest! {
    #[test]
    fn started_experiments_have_all_that_they_asked_for_and_never_share_a_device(
        queue in proptest::collection::vec((arbitrary(), any_bool()), 0..12),
        taken in arbitrary_leased(),
    ) {
        let gpus = gpus();
        let candidates = queue.iter().enumerate().map(|(key, (wanted, reserves_here))| Candidate {
            key, wanted: wanted.clone(), reserves_here: *reserves_here,
        });
        let starts = plan(&candidates.collect::<Vec<_>>(), &Devices { gpus: &gpus, leased: &taken });
        let mut used = taken.clone();
        for start in starts {
            let wanted = &queue[start.key].0;
            prop_assert!(start.leases.iter().all(|lease| used.insert(lease.clone())), "twice: {start:?}");
            prop_assert_eq!(start.gpus.len(), wanted.named.len().max(wanted.any_gpus));
            prop_assert!(wanted.named.is_empty() || wanted.named == start.gpus);
            prop_assert!(start.gpus.iter().all(|gpu| start.leases.contains(&Lease::Gpu(gpu.clone()))));
            prop_assert!(!wanted.cpu || start.leases.contains(&Lease::Cpu));
            prop_assert!(!wanted.host || start.leases.len() == GPUS.len() + 1);
        }
    }

    /// In every round small experiments wait for each device that becomes free; the first running ones end eventually.
    #[test]
    fn a_large_experiment_starts_as_soon_as_those_before_it_have_ended(
        large in arbitrary(),
        ends in proptest::collection::vec(0_usize..5, 4),
    ) {
        // The experiments that run at the beginning, each with the round in which it ends.
        let mut running = GPUS.iter().zip(&ends).map(|(gpu, end)| (Lease::Gpu((*gpu).to_owned()), *end)).collect::<Vec<_>>();
        let gpus = gpus();
        for round in 0..=5 {
            running.retain(|(_, end)| *end > round);
            let taken = running.iter().map(|(lease, _)| lease.clone()).collect::<HashSet<_>>();
            let mut queue = vec![Candidate { key: 0, wanted: large.clone(), reserves_here: true }];
            queue.extend((1..9).map(|key| Candidate {
                key, wanted: if key % 4 == 0 { CPU } else { any(1) }, reserves_here: true,
            }));
            let starts = plan(&queue, &Devices { gpus: &gpus, leased: &taken });
            if starts.iter().any(|start| start.key == 0) {
                return Ok(());
            }
            // Small experiments that have started never end.
            running.extend(starts.into_iter().flat_map(|start| start.leases).map(|lease| (lease, usize::MAX)));
        }
        prop_assert!(false, "it never started");
    }

    #[test]
    fn a_small_experiment_waits_only_when_all_devices_are_taken_or_reserved(
        queue in proptest::collection::vec(Just(any(1)), 0..8),
        taken in arbitrary_leased(),
    ) {
        let free = GPUS.len() - taken.len();
        prop_assert_eq!(keys(&queue, &taken).len(), queue.len().min(free));
    }
}
