/// Largest difference between two equal power limits, in watts: boards round a limit to whole or half watts.
const SAME_WITHIN_W: f64 = 1.0;

/// Returns whether two power limits, in watts, are the same.
pub fn is_same_power_limit(one_w: f64, other_w: f64) -> bool {
    (one_w - other_w).abs() <= SAME_WITHIN_W
}
