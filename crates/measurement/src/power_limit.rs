/// Boards keep whole or half watts.
const SAME_WITHIN_W: f64 = 1.0;

/// Tells whether two power limits, in watts, are one.
pub fn is_same_power_limit(one_w: f64, other_w: f64) -> bool {
    (one_w - other_w).abs() <= SAME_WITHIN_W
}
