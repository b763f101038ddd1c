//! Model descriptions with expected answers: `cases/NAME.json` contains the input, the question and the answer. The
//! inputs are small and follow reports of users of other tools.

mod cases {
    pub mod case;
    pub mod input;
}

use cases::case::Case;

/// Tolerances of FLOPs: exact figures, and figures known to a share.
const EXACT: f64 = 0.0;

/// Runs one case: writes the input, asks the question, compares each figure that the case gives.
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

#[test]
fn deepseek_v3_config() {
    check("deepseek-v3-config", EXACT);
}

#[test]
fn deepseek_v3_folder() {
    check("deepseek-v3-folder", EXACT);
}

#[test]
fn falcon_config() {
    check("falcon-config", EXACT);
}

#[test]
fn gpt_oss_folder() {
    check("gpt-oss-folder", EXACT);
}

#[test]
fn granite_config() {
    check("granite-config", EXACT);
}

#[test]
fn granitemoe_folder() {
    check("granitemoe-folder", EXACT);
}

#[test]
fn jamba_folder() {
    check("jamba-folder", EXACT);
}

#[test]
fn ministral3_config() {
    check("ministral3-config", EXACT);
}

#[test]
fn olmo2_config() {
    check("olmo2-config", EXACT);
}

#[test]
fn qwen2_5_vl_folder() {
    check("qwen2-5-vl-folder", EXACT);
}

#[test]
fn qwen3_next_folder() {
    check("qwen3-next-folder", EXACT);
}

#[test]
fn t5_folder() {
    check("t5-folder", EXACT);
}
