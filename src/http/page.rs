//! Parameters that all paginated lists share.

use std::str::FromStr;

use super::problem::Problem;
use joulemark_measurement::quoted;

/// Number of items on a page without `limit`.
pub const DEFAULT_LIMIT: u32 = 50;
/// Maximum of `limit`.
pub const MAX_LIMIT: u32 = 500;

/// Reads the parameter `limit`.
pub fn read_limit(text: &str) -> Result<u32, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| {
        Problem::invalid_parameter(
            "limit",
            format!("is {text}; accepted are 1 to {MAX_LIMIT}", text = quoted(&text)),
        )
    })
}

/// Reads the parameter `cursor`.
pub fn read_cursor<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| {
        Problem::invalid_parameter(
            "cursor",
            format!("is {text}; accepted is the next_cursor of a page", text = quoted(&text)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_within_its_bounds_and_anything_else_is_named() {
        assert_eq!(read_limit("1").ok(), Some(1));
        assert_eq!(read_limit("500").ok(), Some(MAX_LIMIT));
        for text in ["0", "501", "-1", "many", "", "1.0"] {
            let problem = read_limit(text).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, "limit"));
            assert!(problem.detail.contains("1 to 500"), "{}", problem.detail);
        }
        assert_eq!(read_cursor::<u32>("x").unwrap_err().errors[0].pointer, "cursor");
    }
}
