//! Positions to try next in a search for the minimum of a response with one valley. Kiefer's search by Fibonacci
//! numbers needs the fewest tries in the worst case (Kiefer 1953).

/// Returns the first position to try between two tried ends; `None` where there is none between them.
pub fn first_between(low: usize, high: usize) -> Option<usize> {
    let width = high.checked_sub(low).filter(|width| *width > 1)?;
    let (_, part) = numbers_for(width);
    Some(high.saturating_sub(part).clamp(low + 1, high - 1))
}

/// Returns the next position to try, where `best` is the minimum so far and the nearest tries beside it are `below` and
/// `above`, or just outside the range where there is none. `None` once no position is left between them.
pub fn next_beside(below: i64, best: i64, above: i64) -> Option<usize> {
    let (_, part) = numbers_for(usize::try_from(above - below).ok()?);
    let (_, rest) = numbers_for(part);
    let rest = rest as i64;
    let place = match (best - below, above - best) {
        (..=1, ..=1) => return None,
        (left, right) if right >= left => (above - rest).max(best + 1).min(above - 1),
        _ => (below + rest).min(best - 1).max(below + 1),
    };
    usize::try_from(place).ok()
}

/// Returns the smallest Fibonacci number that is at least `width`, and the Fibonacci number before it.
fn numbers_for(width: usize) -> (usize, usize) {
    let (mut before, mut number) = (1, 1);
    while number < width {
        (before, number) = (number, before + number);
    }
    (number, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_places_need_eight_looks_wherever_the_least_is() {
        for least in 0..20_i64 {
            let mut looked = vec![0, 19, first_between(0, 19).expect("places between") as i64];
            loop {
                let best = *looked.iter().min_by_key(|place| (*place - least).abs()).expect("some");
                let below = looked.iter().copied().filter(|place| *place < best).max().unwrap_or(-1);
                let above = looked.iter().copied().filter(|place| *place > best).min().unwrap_or(20);
                match next_beside(below, best, above) {
                    Some(place) => looked.push(place as i64),
                    None => break assert_eq!(best, least),
                }
            }
            assert!(looked.len() <= 8, "{least}: {looked:?}");
        }
    }

    #[test]
    fn places_side_by_side_leave_nothing_to_look_at() {
        assert_eq!(first_between(3, 4), None);
        assert_eq!(first_between(3, 5), Some(4));
        assert_eq!(next_beside(2, 3, 4), None);
        assert_eq!(next_beside(-1, 0, 1), None);
        assert_eq!(next_beside(-1, 0, 2), Some(1));
    }
}
