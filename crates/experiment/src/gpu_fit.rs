use joulemark_measurement::{ComputeCapability, quoted};

use super::capabilities::OfferedEngine;
use super::choices::{Device, GpuSelector};
use super::field::FieldProblem;
use super::resolve::{Gpu, Host};
use super::submission::ExperimentRequest;

impl OfferedEngine {
    /// Tells whether it computes on a board of this compute capability. Where the program or the board does not say what
    /// it is, nothing speaks against it.
    pub fn computes_on(&self, board: Option<ComputeCapability>) -> bool {
        let fits = match (self.compute_capability, board) {
            (Some(built_for), Some(board)) => built_for.runs_on(board),
            _ => true,
        };
        self.has_cuda() && fits
    }
}

/// Returns why none of an engine's programs computes on a board, as the end of a sentence that begins with the board, and
/// the command that makes one which does; `None` where one does. `problems` are of programs that do not work.
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
        none if none.is_empty() => "none that works is for GPUs".to_owned(),
        some => format!("those that work are for {some}"),
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
        "{has}, which no program of the engine here was built for ({there}): `deploy/build-cuda.sh{argument}` makes one{}",
        why.collect::<String>()
    ))
}

impl Host {
    /// Returns the GPUs that a program of the engine here computes on.
    pub fn computing_gpus(&self) -> impl Iterator<Item = &Gpu> {
        self.gpus
            .iter()
            .filter(|gpu| self.cuda_build && gpu.engine_problem.is_none())
    }

    /// Returns why none of its GPUs computes.
    pub(super) fn refused_gpus(&self) -> String {
        let refused = self
            .gpus
            .iter()
            .filter_map(|gpu| Some((gpu, gpu.engine_problem.as_deref()?)));
        let refused = refused.map(|(gpu, why)| format!("GPU {} ({}) {why}", gpu.index, gpu.name));
        match refused.collect::<Vec<_>>().join("; ") {
            // Of a server of an earlier version.
            unsaid if unsaid.is_empty() => "the engine was built without the cuda feature".to_owned(),
            said => said,
        }
    }
}

/// Returns a problem for each GPU that is named and that no program computes on, or for a number of GPUs that is larger
/// than that of those which compute. A host where none does is a problem of the device.
pub(super) fn unfit_gpus(request: &ExperimentRequest, host: &Host, device: Device, count: u32) -> Vec<FieldProblem> {
    let computing = host.computing_gpus().count();
    if device != Device::Cuda || computing == 0 {
        return Vec::new();
    }
    if let Some(named) = &request.gpus {
        let problem = |(position, selector): (usize, &GpuSelector)| {
            let (gpu, shown) = match selector {
                GpuSelector::Index(index) => (host.gpus.iter().find(|gpu| gpu.index == *index), index.to_string()),
                GpuSelector::Uuid(uuid) => (host.gpus.iter().find(|gpu| gpu.uuid == *uuid), quoted(uuid).to_string()),
            };
            let why = gpu?.engine_problem.as_deref()?;
            let detail = format!("is {shown}, which {why}");
            Some(FieldProblem::new(format!("/gpus/{position}"), detail))
        };
        return named.iter().enumerate().filter_map(problem).collect();
    }
    if count as usize <= computing || count as usize > host.gpus.len() {
        return Vec::new();
    }
    let pointer = match request.gpu_count {
        Some(_) => "/gpu_count",
        None => "/num_processes",
    };
    let detail = format!(
        "is {count}; the engine computes on {computing} of the GPUs here: {}",
        host.refused_gpus()
    );
    vec![FieldProblem::new(pointer, detail)]
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
            why.contains("none that works is for GPUs") && why.contains("build-cuda.sh 90`"),
            "{why}"
        );
    }

    #[test]
    fn what_does_not_say_its_capability_is_taken() {
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
