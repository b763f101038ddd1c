//! Engine programs that a node has, and the GPUs that they compute on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use joulemark_measurement::ComputeCapability;

/// An engine whose program a node has, as the program describes itself (`--describe`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedEngine {
    /// Name of the engine: the program of `mistral` is `joulemark-mistral`.
    pub name: String,
    /// Version of the engine's program.
    pub version: String,
    /// Version of the inference library in the program.
    pub engine_version: String,
    /// Features that the program was built with, such as `cuda`; empty for the CPU alone.
    pub features: Vec<String>,
    /// CPU features that its kernels were compiled for, such as `avx2`.
    pub compiled_cpu_features: Vec<String>,
    /// Version of the protocol between the service and its workers.
    pub protocol_version: u32,
    /// Compute capability that its GPU kernels were compiled for, such as `9.0`; null for the CPU alone, and where the
    /// program does not state it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub compute_capability: Option<ComputeCapability>,
}

impl OfferedEngine {
    /// Returns whether the program was built for GPUs.
    pub fn has_cuda(&self) -> bool {
        self.features.iter().any(|feature| feature == "cuda")
    }

    /// Returns whether the program computes on a GPU of this compute capability. Where the program's or the GPU's is
    /// unknown, they are assumed to fit.
    pub fn computes_on(&self, board: Option<ComputeCapability>) -> bool {
        let fits = match (self.compute_capability, board) {
            (Some(built_for), Some(board)) => built_for.runs_on(board),
            _ => true,
        };
        self.has_cuda() && fits
    }
}

/// Returns why none of an engine's programs computes on a GPU, with the command that builds one that does; `None` where
/// one does. The text is the end of a sentence that begins with the GPU. `problems` are those of programs that cannot
/// be started.
pub fn refused_board(
    offered: &[OfferedEngine],
    problems: &[String],
    board: Option<ComputeCapability>,
) -> Option<String> {
    if offered.iter().any(|engine| engine.computes_on(board)) {
        return None;
    }
    let built_for = offered.iter().filter(|engine| engine.has_cuda());
    let built_for = built_for.filter_map(|engine| Some(engine.compute_capability?.to_string()));
    let there = match built_for.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "no working one is for GPUs".to_owned(),
        some => format!("the working ones are for {some}"),
    };
    let (has, argument) = match board {
        Some(board) => (
            format!("has compute capability {board}"),
            format!(" {}", board.number()),
        ),
        None => ("has an unknown compute capability".to_owned(), String::new()),
    };
    let why = problems.iter().map(|problem| format!("; {problem}"));
    Some(format!(
        "{has}, for which no program of the engine was built here ({there}): `deploy/build-cuda.sh{argument}` builds one{}",
        why.collect::<String>()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(built_for: Option<&str>) -> OfferedEngine {
        OfferedEngine {
            name: "mistral".to_owned(),
            version: "0.1.0".to_owned(),
            engine_version: "0.8.1".to_owned(),
            features: built_for.map(|_| "cuda".to_owned()).into_iter().collect(),
            compiled_cpu_features: Vec::new(),
            protocol_version: 1,
            compute_capability: built_for.and_then(|text| text.parse().ok()),
        }
    }

    fn refused(programs: &[Option<&str>], board: &str) -> Option<String> {
        let offered = programs.iter().map(|built_for| offer(*built_for)).collect::<Vec<_>>();
        refused_board(&offered, &[], board.parse().ok())
    }

    #[test]
    fn a_board_that_no_program_fits_is_refused_with_the_command_that_makes_one() {
        let programs = [None, Some("8.0"), Some("9.0")];
        for board in ["8.0", "8.6", "8.9", "9.0"] {
            assert_eq!(refused(&programs, board), None, "{board}");
        }
        for (board, command) in [
            ("10.0", "build-cuda.sh 100`"),
            ("12.0", "build-cuda.sh 120`"),
            ("7.5", "build-cuda.sh 75`"),
        ] {
            let why = refused(&programs, board).unwrap();
            assert!(
                why.contains(board) && why.contains("8.0, 9.0") && why.contains(command),
                "{why}"
            );
        }
        let why = refused(&[None], "9.0").unwrap();
        assert!(
            why.contains("no working one is for GPUs") && why.contains("build-cuda.sh 90`"),
            "{why}"
        );
    }

    #[test]
    fn an_unknown_compute_capability_is_accepted() {
        assert_eq!(refused(&[Some("unsaid")], "10.0"), None);
        assert_eq!(refused(&[Some("9.0")], "unsaid"), None);
    }

    #[test]
    fn a_program_that_does_not_start_is_named_where_none_fits() {
        let problems = ["it finds no NVIDIA driver".to_owned()];
        let why = refused_board(&[], &problems, "9.0".parse().ok()).unwrap();
        assert!(why.ends_with("; it finds no NVIDIA driver"), "{why}");
    }
}
