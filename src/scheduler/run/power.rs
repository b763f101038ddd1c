//! The power limits and clocks of one experiment's boards: set before anything is loaded, put back when it is over.

use std::time::Duration;

use joulemark_experiment::{ExperimentId, Spec};
use joulemark_measurement::is_same_power_limit;
use joulemark_meter::HostMeter;
use joulemark_power_control::{Controller, Held, Restored, RestoredBoard, SetBoard, Setting};

use super::failure::Stop;
use crate::scheduler::context::Context;
use crate::scheduler::restored::log_restored;

/// The meter looks at limits once a second.
const SEEN_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Sets what the experiment asks for; `None` where it asks for nothing.
///
/// # Errors
/// [`Stop::Power`] where a board does not have it then.
pub async fn set_boards(context: &Context, id: ExperimentId, spec: &Spec) -> Result<Option<Held>, Stop> {
    if let Some(controller) = context.power.as_ref().filter(|_| !spec.gpus.is_empty()) {
        put_back_first(controller, spec).await?;
    }
    if !spec.sets_power() {
        return Ok(None);
    }
    let Some(controller) = &context.power else {
        let words = "this server sets no power limits and clocks any more: it was started without --power-control";
        return Err(Stop::Power(words.to_owned()));
    };
    let setting = Setting {
        power_limit_w: spec.power_limit_w,
        gpu_clock_mhz: spec.gpu_clock_mhz,
        memory_clock_mhz: spec.memory_clock_mhz,
    };
    let held = controller.set(&spec.gpus, setting, &format!("experiment {id}")).await;
    let held = held.map_err(|error| Stop::Power(error.to_string()))?;
    until_seen(&context.resources.meter, &held).await;
    Ok(Some(held))
}

/// Puts back what an earlier run could not, so that none is measured under another's limit.
async fn put_back_first(controller: &Controller, spec: &Spec) -> Result<(), Stop> {
    let left = controller.restore_left().await;
    let left = left.map_err(|error| Stop::Power(error.to_string()))?;
    log_restored(&left);
    let is_in_the_way =
        |board: &&RestoredBoard| matches!(board.restored, Restored::Failed(_)) && spec.gpus.contains(&board.uuid);
    match left.iter().find(is_in_the_way) {
        Some(board) => Err(Stop::Power(board.to_string())),
        None => Ok(()),
    }
}

/// Waits until the meter's own looks show what was set, so that none of before falls into a cycle.
async fn until_seen(meter: &HostMeter, held: &Held) {
    let is_seen = |board: &SetBoard| {
        let seen_w = meter.gpu_state(&board.uuid).and_then(|state| state.power_limit_w);
        let both = seen_w.zip(board.limit_in_force_w);
        both.is_none_or(|(seen_w, set_w)| is_same_power_limit(seen_w, set_w))
    };
    let mut waited = Duration::ZERO;
    while !held.boards().all(is_seen) && waited < SEEN_WITHIN {
        tokio::time::sleep(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
}

/// Puts back what was set. What cannot be put back now is tried again every few seconds for as long as the server runs, and
/// when it starts.
pub async fn put_back(held: Option<Held>) {
    if let Some(held) = held {
        log_restored(&held.restore().await);
    }
}
