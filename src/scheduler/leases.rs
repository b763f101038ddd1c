use std::collections::HashSet;

use crate::experiment::{Device, Spec};

/// A thing that serves one experiment at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lease {
    /// The CPU as an inference device, whole: two models on it would fight for cores and memory.
    Cpu,
    /// A GPU by UUID.
    Gpu(String),
}

/// What `spec` needs to itself.
pub fn needed(spec: &Spec) -> HashSet<Lease> {
    let mut needed = spec.gpus.iter().cloned().map(Lease::Gpu).collect::<HashSet<_>>();
    if spec.device == Device::Cpu {
        needed.insert(Lease::Cpu);
    }
    needed
}

/// Which of `queue`, oldest first, may start while `leased` is taken. First come, first served for each device: what
/// an older experiment waits for is kept for it, so that a large one is not starved by small ones.
pub fn startable<K: Copy>(queue: &[(K, HashSet<Lease>)], leased: &HashSet<Lease>) -> Vec<K> {
    let mut taken = leased.clone();
    let mut startable = Vec::new();
    for (key, needed) in queue {
        if needed.is_disjoint(&taken) {
            startable.push(*key);
        }
        taken.extend(needed.iter().cloned());
    }
    startable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpus(names: &[&str]) -> HashSet<Lease> {
        names.iter().map(|name| Lease::Gpu((*name).to_owned())).collect()
    }

    #[test]
    fn a_device_never_serves_two_experiments() {
        let queue = [(1, gpus(&["a"])), (2, gpus(&["a"])), (3, gpus(&["b"]))];
        assert_eq!(startable(&queue, &HashSet::new()), [1, 3]);
        assert_eq!(startable(&queue, &gpus(&["a"])), [3]);
    }

    #[test]
    fn what_an_older_experiment_waits_for_is_kept_for_it() {
        let queue = [(1, gpus(&["a", "b"])), (2, gpus(&["b"])), (3, gpus(&["c"]))];
        assert_eq!(startable(&queue, &gpus(&["a"])), [3]);
    }

    proptest::proptest! {
        #[test]
        fn started_experiments_never_share_a_device(
            queue in proptest::collection::vec(proptest::collection::hash_set(0_u8..6, 1..4), 0..12),
            leased in proptest::collection::hash_set(0_u8..6, 0..4),
        ) {
            let lease = |devices: &HashSet<u8>| devices.iter().map(|d| Lease::Gpu(d.to_string())).collect::<HashSet<_>>();
            let queue = queue.iter().map(lease).enumerate().collect::<Vec<_>>();
            let mut taken = lease(&leased);
            for key in startable(&queue, &taken.clone()) {
                proptest::prop_assert!(queue[key].1.is_disjoint(&taken));
                taken.extend(queue[key].1.iter().cloned());
            }
        }
    }
}
