/// Sums the parts; `None` when a part is unknown or there is none.
pub fn whole(parts: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    parts
        .into_iter()
        .try_fold((0.0, false), |(sum, _), part| part.map(|part| (sum + part, true)))
        .and_then(some_parts)
}

/// Sums counts like [`whole`].
pub fn whole_count(parts: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    parts
        .into_iter()
        .try_fold((0, false), |(sum, _), part| part.map(|part| (sum + part, true)))
        .and_then(some_parts)
}

/// Returns the sum; `None` when it has no parts.
fn some_parts<T>((sum, any): (T, bool)) -> Option<T> {
    any.then_some(sum)
}

/// Divides `part` by `whole`; `None` when either is unknown or `whole` is not above 0.
pub fn ratio(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0.0 => Some(part / whole),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unknown_part_makes_the_whole_unknown() {
        assert_eq!(whole([Some(1.0), None, Some(2.0)]), None);
        assert_eq!(whole([Some(1.0), Some(2.0)]), Some(3.0));
        assert_eq!(whole_count([Some(1), None]), None);
        assert_eq!(whole_count([Some(1), Some(2)]), Some(3));
    }

    #[test]
    fn a_sum_of_nothing_is_unknown_and_not_zero() {
        assert_eq!(whole([]), None);
        assert_eq!(whole_count([]), None);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert_eq!(ratio(Some(1.0), Some(0.0)), None);
        assert_eq!(ratio(Some(0.0), Some(0.0)), None);
        assert_eq!(ratio(None, Some(1.0)), None);
        assert_eq!(ratio(Some(3.0), Some(2.0)), Some(1.5));
    }
}
