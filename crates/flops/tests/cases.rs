//! Model descriptions with right answers: `cases/NAME.json` says how to make the input, what is asked and what is right.
//! The inputs are small, made after what users of other tools reported.

mod cases {
    pub mod case;
    pub mod input;
}

use cases::case::Case;

/// Says which figures hold to the last digit, and which to a share of it.
const EXACT: f64 = 0.0;

/// Runs one case: makes the input, asks the question, compares each figure that the case knows.
fn check(name: &str, tolerance: f64) {
    let case = Case::read(name);
    case.compare(&case.answer(), tolerance);
}

#[test]
fn a_case_whose_figure_is_wrong_is_told() {
    let mut case = Case::read("ministral3-config");
    case.config["model_type"] = "llama".into();
    case.compare(&case.answer(), EXACT);
    case.expected["flops_total"] = 87_621_633_u64.into();
    let answer = case.answer();
    assert!(std::panic::catch_unwind(|| case.compare(&answer, EXACT)).is_err());
}
