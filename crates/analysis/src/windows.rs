use joulemark_measurement::Window;

/// Returns the length in seconds of the time that at least one window covers. Overlapping time counts once.
pub fn union_sec(windows: &[Window]) -> f64 {
    let mut sorted = windows.to_vec();
    sorted.sort_by(|a, b| a.start_monotonic_sec.total_cmp(&b.start_monotonic_sec));
    let mut covered = 0.0;
    let mut until = f64::NEG_INFINITY;
    for window in sorted {
        let from = window.start_monotonic_sec.max(until);
        if window.end_monotonic_sec > from {
            covered += window.end_monotonic_sec - from;
            until = window.end_monotonic_sec;
        }
    }
    covered
}

/// Returns the window from the first start to the last end; `None` without a window.
pub fn hull(windows: &[Window]) -> Option<Window> {
    windows.iter().copied().reduce(|a, b| Window {
        start_monotonic_sec: a.start_monotonic_sec.min(b.start_monotonic_sec),
        end_monotonic_sec: a.end_monotonic_sec.max(b.end_monotonic_sec),
    })
}

/// Returns the length in seconds of the time that all windows share; 0 when they share none.
pub fn intersection_sec(windows: &[Window]) -> f64 {
    let start = windows
        .iter()
        .map(|window| window.start_monotonic_sec)
        .fold(f64::NEG_INFINITY, f64::max);
    let end = windows
        .iter()
        .map(|window| window.end_monotonic_sec)
        .fold(f64::INFINITY, f64::min);
    if windows.is_empty() {
        0.0
    } else {
        (end - start).max(0.0)
    }
}

/// Returns the lengths in seconds of the shortest and of the longest window; `None` without a window.
pub fn extremes_sec(windows: &[Window]) -> Option<(f64, f64)> {
    windows
        .iter()
        .map(Window::duration_sec)
        .map(|sec| (sec, sec))
        .reduce(|(shortest, longest), (sec, _)| (shortest.min(sec), longest.max(sec)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::requests::window;

    #[test]
    fn overlap_counts_once_and_gaps_do_not_count() {
        assert_eq!(union_sec(&[window(0.0, 4.0), window(2.0, 6.0)]), 6.0);
        assert_eq!(union_sec(&[window(0.0, 4.0), window(10.0, 11.0)]), 5.0);
        assert_eq!(union_sec(&[window(0.0, 10.0), window(2.0, 3.0)]), 10.0);
        assert_eq!(union_sec(&[]), 0.0);
    }

    #[test]
    fn the_hull_reaches_over_gaps() {
        assert_eq!(hull(&[window(10.0, 11.0), window(0.0, 4.0)]), Some(window(0.0, 11.0)));
        assert_eq!(hull(&[]), None);
    }

    #[test]
    fn windows_one_after_the_other_share_nothing() {
        assert_eq!(intersection_sec(&[window(0.0, 4.0), window(4.0, 6.0)]), 0.0);
        assert_eq!(intersection_sec(&[window(0.0, 4.0), window(5.0, 6.0)]), 0.0);
        assert_eq!(
            intersection_sec(&[window(0.0, 4.0), window(1.0, 6.0), window(2.0, 3.5)]),
            1.5
        );
    }

    proptest! {
        #[test]
        fn the_union_is_between_the_longest_window_and_the_hull(
            spans in prop::collection::vec((0.0f64..100.0, 0.0f64..20.0), 1..12),
        ) {
            let windows: Vec<Window> = spans.iter().map(|(start, length)| window(*start, start + length)).collect();
            let union = union_sec(&windows);
            let (_, longest) = extremes_sec(&windows).unwrap();
            let sum: f64 = windows.iter().map(Window::duration_sec).sum();
            prop_assert!(longest - 1e-9 <= union);
            prop_assert!(union <= hull(&windows).unwrap().duration_sec() + 1e-9);
            prop_assert!(union <= sum + 1e-9);
            let mut reversed = windows.clone();
            reversed.reverse();
            prop_assert!((union - union_sec(&reversed)).abs() < 1e-9);
        }
    }
}
