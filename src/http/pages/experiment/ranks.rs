//! The section on ranks.

use askama::Template;

use super::figure::plain;
use super::raw::Raw;
use crate::number;
use joulemark_analysis::metrics::Figures;
use joulemark_experiment::report::{EfficiencyMetrics, Report};
use joulemark_measurement::{GpuMemory, LoadReport, RankCycle};

/// Maximum number of rows; `/processes` has the rest.
const MAX_ROWS: usize = 200;
const FIGURES: [&str; 6] = [
    "duration_sec",
    "output_tokens",
    "tokens_per_second",
    "mean_ttft_ms",
    "mean_tpot_ms",
    "total_energy_j",
];

/// Placement of the ranks, and their figures in each cycle.
#[derive(Template)]
#[template(path = "experiment/ranks.html")]
pub struct Ranks {
    ranks: Vec<Rank>,
    rows: Vec<Row>,
    left_out: usize,
    overlap: Option<String>,
}

/// Placement of a rank.
struct Rank {
    rank: u32,
    device: String,
    threads: String,
    dtype: String,
    load: String,
    memory: String,
}

/// One rank in one cycle: each figure in full precision and as shown.
struct Row {
    cycle: u32,
    rank: u32,
    figures: Vec<(String, String)>,
}

impl Ranks {
    /// Creates the section from a result.
    pub fn new(report: &Report, raw: &Raw) -> Self {
        let mut loads: Vec<&LoadReport> = report.loads.iter().collect();
        loads.sort_by_key(|load| (load.rank, load.cycle));
        loads.dedup_by_key(|load| load.rank);
        let ratio = |ratio: f64| number::plain(100.0 * ratio);
        let overlap = report.validation.overlap_ratio.map(|overlap| {
            format!(
                "In the worst cycle, all ranks ran at the same time for {} % of the shortest rank's duration.",
                ratio(overlap)
            )
        });
        Self {
            ranks: loads.into_iter().map(Rank::of).collect(),
            rows: raw.ranks.iter().take(MAX_ROWS).map(Row::of).collect(),
            left_out: raw.ranks.len().saturating_sub(MAX_ROWS),
            overlap,
        }
    }
}

impl Rank {
    fn of(load: &LoadReport) -> Self {
        let layers = load
            .layers
            .iter()
            .map(|layers| format!("{} layers on {} {}", layers.layers, layers.device, layers.ordinal));
        let layers: Vec<String> = layers.collect();
        let device = match layers.is_empty() {
            true => load.device.clone(),
            false => format!("{} ({})", load.device, layers.join(", ")),
        };
        Self {
            rank: load.rank,
            device,
            threads: format!("{} on {} CPUs", load.placement.threads, load.placement.cpus.len()),
            dtype: load.activation_dtype.clone(),
            load: number::duration(load.window.duration_sec()),
            memory: memory(&load.gpu_memory),
        }
    }
}

fn memory(gpus: &[GpuMemory]) -> String {
    let each = gpus.iter().map(|gpu| {
        let bytes = gpu
            .bytes
            .map_or_else(|| number::UNKNOWN.to_owned(), |bytes| number::bytes(bytes as f64));
        format!("{bytes} of {}", gpu.gpu)
    });
    match gpus.is_empty() {
        true => "–".to_owned(),
        false => each.collect::<Vec<_>>().join(", "),
    }
}

impl Row {
    fn of(of: &RankCycle) -> Self {
        let nothing = EfficiencyMetrics::default();
        let figures = Figures {
            inference: &of.inference,
            energy: &of.energy,
            compute: &of.compute,
            efficiency: &nothing,
        };
        Self {
            cycle: of.cycle,
            rank: of.rank,
            figures: FIGURES.into_iter().map(|name| plain(name, figures)).collect(),
        }
    }
}
