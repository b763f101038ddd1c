use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use joulemark_experiment::{Isolation, Requirements};
use joulemark_store::US_PER_HOUR;

fn requirements(gpu_count: u32) -> Arc<Requirements> {
    Arc::new(Requirements {
        engine: "mistral".to_owned(),
        model_name: "m".to_owned(),
        device: Device::Cuda,
        num_processes: 1,
        gpus: Vec::new(),
        gpu_count,
        isolation: Isolation::Devices,
        node: None,
        node_labels: BTreeMap::new(),
        prompt_source: None,
        sets_power: false,
    })
}

/// Creates queued experiments, oldest first.
fn queue(of: &[(&str, i32)]) -> Vec<Waiting> {
    of.iter()
        .map(|(user, priority)| Waiting {
            id: ExperimentId::generate(),
            user: (*user).to_owned(),
            priority: *priority,
            requirements: requirements(1),
        })
        .collect()
}

fn attained(of: &[(&str, f64)]) -> HashMap<String, f64> {
    of.iter().map(|(user, sec)| ((*user).to_owned(), *sec)).collect()
}

/// Returns the indices of the experiments by age, in the order of their turns.
fn turns(queue: &[Waiting], device_sec: &HashMap<String, f64>) -> Vec<usize> {
    let index = |one: &Waiting| queue.iter().position(|other| other.id == one.id).unwrap();
    in_order(queue, device_sec).iter().map(index).collect()
}

#[test]
fn priority_precedes_share_and_share_precedes_age() {
    let queue = queue(&[("greedy", 0), ("modest", 0), ("greedy", 1), ("greedy", 0)]);
    assert_eq!(turns(&queue, &attained(&[("greedy", 1000.0)])), [2, 1, 0, 3]);
}

#[test]
fn users_with_equal_shares_alternate() {
    let queue = queue(&[("a", 0), ("a", 0), ("a", 0), ("b", 0), ("b", 0)]);
    assert_eq!(turns(&queue, &attained(&[])), [0, 3, 1, 4, 2]);
}

#[test]
fn experiments_of_one_user_are_ordered_by_age() {
    let queue = queue(&[("", 0), ("", 0), ("", 0)]);
    assert_eq!(turns(&queue, &attained(&[("", 9.0)])), [0, 1, 2]);
}

#[test]
fn running_devices_count_at_once_and_past_device_time_halves_every_day() {
    let now = Timestamp::from_microsecond(500_000 * US_PER_HOUR).unwrap();
    let past = [("a", 0, 3600.0), ("b", 24, 7200.0)].map(|(user, hours_ago, sec)| DeviceTime {
        user: user.to_owned(),
        hour: 500_000 - hours_ago,
        device_us: (sec * 1e6) as i64,
    });
    let in_use = [("c", 2, 1.0), ("d", 2, 600.0)].map(|(user, device_count, since_sec)| DevicesInUse {
        user: user.to_owned(),
        device_count,
        claimed_at_us: now.as_microsecond() - (since_sec * 1e6) as i64,
    });
    let by_user = device_sec_by_user(&past, &in_use, now);
    assert_eq!(
        by_user,
        attained(&[("a", 3600.0), ("b", 3600.0), ("c", 120.0), ("d", 1200.0)])
    );
}

fn arbitrary() -> impl Strategy<Value = (Vec<Waiting>, HashMap<String, f64>)> {
    let users = ["", "a", "b", "c"];
    let one = (proptest::sample::select(users.to_vec()), -1_i32..=1);
    let shares = proptest::collection::vec(0.0_f64..1000.0, users.len());
    (proptest::collection::vec(one, 0..30), shares).prop_map(move |(of, shares)| {
        let shares = users.into_iter().zip(shares).collect::<Vec<_>>();
        (queue(&of), attained(&shares))
    })
}

proptest! {
    #[test]
    fn each_experiment_has_one_turn_higher_priorities_first_and_each_user_by_age((queue, shares) in arbitrary()) {
        let order = turns(&queue, &shares);
        let mut all = order.clone();
        all.sort_unstable();
        prop_assert_eq!(all, (0..queue.len()).collect::<Vec<_>>());
        for pair in order.windows(2) {
            prop_assert!(queue[pair[0]].priority >= queue[pair[1]].priority);
        }
        for (position, index) in order.iter().enumerate() {
            let mine = |other: &&usize| {
                queue[**other].user == queue[*index].user && queue[**other].priority == queue[*index].priority
            };
            prop_assert!(order[position..].iter().filter(mine).all(|later| later >= index));
        }
    }

    /// The user whose turn it is has no more device-seconds than any other user who waits at that priority.
    #[test]
    fn a_turn_goes_to_the_user_with_the_least_device_time((queue, shares) in arbitrary()) {
        let order = in_order(&queue, &shares);
        let mut had = shares.clone();
        for (position, one) in order.iter().enumerate() {
            let rivals = order[position..].iter().filter(|other| other.priority == one.priority);
            let least = rivals.map(|other| had[&other.user]).fold(f64::INFINITY, f64::min);
            prop_assert!(had[&one.user] <= least + 1e-6);
            *had.get_mut(&one.user).unwrap() += MIN_CHARGED_SEC;
        }
    }

    /// With one device, a waiting user has a turn within a bounded number of runs, however many experiments others
    /// submit.
    #[test]
    fn no_user_waits_forever(shares in proptest::collection::vec(0.0_f64..1000.0, 3), runs_sec in 60.0_f64..600.0) {
        let mut had = attained(&[("a", shares[0]), ("b", shares[1]), ("c", shares[2])]);
        let max_turns = (shares.iter().sum::<f64>() / runs_sec) as usize + 3;
        let mut turns = 0;
        loop {
            let queue = queue(&[("a", 0), ("b", 0), ("c", 0)]);
            let next = in_order(&queue, &had).remove(0);
            if next.user == "c" {
                break;
            }
            *had.get_mut(&next.user).unwrap() += runs_sec;
            turns += 1;
            // Before the turn of "c", each of the others gets at most the device-seconds of "c" and one run more.
            prop_assert!(turns <= 2 * max_turns, "{turns}");
        }
    }
}
