use crate::aggregate::Aggregate;
use joulemark_experiment::report::{CycleReport, EfficiencyMetrics, Report};
use joulemark_measurement::{ComputeMetrics, EnergyMetrics, InferenceMetrics};

/// Figures of a whole result, or of one of its cycles.
#[derive(Clone, Copy, Debug)]
pub struct Figures<'a> {
    pub inference: &'a InferenceMetrics,
    pub energy: &'a EnergyMetrics,
    pub compute: &'a ComputeMetrics,
    pub efficiency: &'a EfficiencyMetrics,
}

macro_rules! figures_of {
    ($($holder:ty),*) => {$(
        impl<'a> From<&'a $holder> for Figures<'a> {
            fn from(holder: &'a $holder) -> Self {
                Self {
                    inference: &holder.inference,
                    energy: &holder.energy,
                    compute: &holder.compute,
                    efficiency: &holder.efficiency,
                }
            }
        }
    )*};
}

figures_of!(Aggregate, CycleReport, Report);
