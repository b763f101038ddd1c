use thiserror::Error;

/// A tensor that was not placed.
#[derive(Debug, Error)]
pub enum Misplaced {
    #[error("no operator of {family} has `{tensor}`")]
    Unknown { family: &'static str, tensor: String },
    #[error("`{tensor}` {misfit}")]
    Misfit { tensor: String, misfit: Misfit },
    #[error("`{tensor}` repeats weights of {operator}")]
    Repeated { tensor: String, operator: &'static str },
}

/// The reason why a tensor does not fit the operator that it is named after, as the end of a sentence.
#[derive(Debug, Error)]
pub enum Misfit {
    #[error("is in a place where {family} has no {operator}")]
    Place {
        family: &'static str,
        operator: &'static str,
    },
    #[error("is a bias, which the configuration gives {operator} none of")]
    Bias { operator: &'static str },
    #[error("has the shape {found:?} instead of {expected:?}")]
    Shape { found: Vec<u64>, expected: Vec<u64> },
}
