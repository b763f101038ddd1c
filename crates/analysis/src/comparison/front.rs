use crate::intervals::Interval;
use crate::metrics::Better;

/// A point of the plane of two metrics, with the interval of each coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub x: f64,
    pub y: f64,
    /// Interval of `x`; `None` where it is unknown and `x` counts as exact.
    pub x_interval: Option<Interval>,
    /// Interval of `y`; `None` likewise.
    pub y_interval: Option<Interval>,
}

/// Position of a point relative to the Pareto front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On the front: no other point is at least as good in both metrics and better in one.
    OnFront,
    /// Behind the front, but the best corner of its intervals is not.
    ReachesFront,
    /// Behind the front, with its intervals.
    Behind,
}

/// Returns the position of each point relative to the Pareto front of all points.
pub fn front(points: &[Place], x: Better, y: Better) -> Vec<Standing> {
    // From here on, less is better.
    let sign = |better: Better| if better == Better::Higher { -1.0 } else { 1.0 };
    let (of_x, of_y) = (sign(x), sign(y));
    let costs: Vec<_> = points.iter().map(|point| (of_x * point.x, of_y * point.y)).collect();
    let on_front: Vec<_> = costs
        .iter()
        .copied()
        .filter(|cost| !costs.iter().any(|other| dominates(*other, *cost)))
        .collect();
    let best = |value: f64, interval: Option<Interval>, sign: f64| {
        let (low, high) = interval.unwrap_or((value, value));
        (sign * value).min(sign * low).min(sign * high)
    };
    points
        .iter()
        .zip(&costs)
        .map(|(point, cost)| {
            let corner = (
                best(point.x, point.x_interval, of_x),
                best(point.y, point.y_interval, of_y),
            );
            let is_behind = |place: (f64, f64)| on_front.iter().any(|other| dominates(*other, place));
            match (is_behind(*cost), is_behind(corner)) {
                (false, _) => Standing::OnFront,
                (true, false) => Standing::ReachesFront,
                (true, true) => Standing::Behind,
            }
        })
        .collect()
}

/// Returns whether `one` is at least as good as `other` in both coordinates and better in one.
fn dominates(one: (f64, f64), other: (f64, f64)) -> bool {
    one.0 <= other.0 && one.1 <= other.1 && (one.0 < other.0 || one.1 < other.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(x: f64, y: f64, half: f64) -> Place {
        Place {
            x,
            y,
            x_interval: Some((x - half, x + half)),
            y_interval: Some((y - half, y + half)),
        }
    }

    #[test]
    fn what_is_best_in_one_way_is_on_the_front_and_what_may_be_is_marked() {
        // Joules against tokens/s: fewer and more.
        let points = [
            place(1.0, 10.0, 0.1),
            place(2.0, 20.0, 0.1),
            place(2.1, 19.9, 0.2),
            place(3.0, 15.0, 0.5),
            place(2.0, 20.0, 0.1),
        ];
        let found = front(&points, Better::Lower, Better::Higher);
        assert_eq!(
            found,
            [
                Standing::OnFront,
                Standing::OnFront,
                Standing::ReachesFront,
                Standing::Behind,
                Standing::OnFront
            ]
        );
        let alone = Place {
            x_interval: None,
            y_interval: None,
            ..points[2]
        };
        assert_eq!(
            front(&[points[1], alone], Better::Lower, Better::Higher)[1],
            Standing::Behind
        );
        assert!(front(&[], Better::Lower, Better::Lower).is_empty());
    }

    proptest! {
        #[test]
        fn some_point_is_on_the_front_and_none_on_it_dominates_another(
            points in prop::collection::vec((0u8..20, 0u8..20, 0u8..3), 1..40)
        ) {
            let points: Vec<_> = points.into_iter().map(|(x, y, half)| place(x.into(), y.into(), half.into())).collect();
            let found = front(&points, Better::Lower, Better::Lower);
            let on_front: Vec<_> = points.iter().zip(&found).filter(|(_, of)| **of == Standing::OnFront).collect();
            prop_assert!(!on_front.is_empty());
            for (point, _) in &on_front {
                for (other, _) in &on_front {
                    prop_assert!(!dominates((point.x, point.y), (other.x, other.y)));
                }
            }
        }
    }
}
