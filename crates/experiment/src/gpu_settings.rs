//! Checks of what an experiment asks of its GPUs besides computing: a power limit, clocks, a temperature and a wait
//! until they are stable.

use super::Spec;
use super::field::FieldProblem;
use super::host::{Gpu, Host};

/// Returns a problem for each setting that the host or its GPUs cannot provide.
pub(super) fn gpu_setting_problems(spec: &Spec, host: &Host) -> Vec<FieldProblem> {
    let asked = asked(spec);
    if spec.gpu_count == 0 {
        let none = |(pointer, what): &(&str, String)| {
            let detail = format!("is {what}, but no GPU is leased; leave it out, or set gpus or gpu_count");
            FieldProblem::new(*pointer, detail)
        };
        return asked.iter().map(none).collect();
    }
    if !spec.sets_power() {
        return Vec::new();
    }
    if let Some(why) = &host.power_problem {
        let pointer = asked.first().map_or("", |(pointer, _)| pointer);
        let detail = format!("asks for a setting of GPUs, but this server does not change any: {why}");
        return vec![FieldProblem::new(pointer, detail)];
    }
    let is_candidate = |gpu: &&Gpu| spec.gpus.is_empty() || spec.gpus.contains(&gpu.uuid);
    let boards = host.gpus.iter().filter(is_candidate);
    let mut problems: Vec<FieldProblem> = boards.flat_map(|gpu| refusals(spec, gpu)).collect();
    // One problem for each field is enough, even where several GPUs reject the value.
    let mut seen = Vec::new();
    problems.retain(|problem| {
        let is_new = !seen.contains(&problem.pointer);
        seen.push(problem.pointer.clone());
        is_new
    });
    problems
}

/// Returns the fields that need GPUs, each with its value as text.
fn asked(spec: &Spec) -> Vec<(&'static str, String)> {
    let all = [
        ("/power_limit_w", spec.power_limit_w.map(|watts| format!("{watts} W"))),
        ("/gpu_clock_mhz", spec.gpu_clock_mhz.map(|mhz| format!("{mhz} MHz"))),
        (
            "/memory_clock_mhz",
            spec.memory_clock_mhz.map(|mhz| format!("{mhz} MHz")),
        ),
        (
            "/start_below_temperature_c",
            spec.start_below_temperature_c.map(|bound| format!("{bound} degrees")),
        ),
        (
            "/settle",
            spec.settle.as_ref().map(|_| "a wait for stable GPUs".to_owned()),
        ),
    ];
    let given = all.into_iter().filter_map(|(pointer, value)| Some((pointer, value?)));
    given.collect()
}

/// Returns a problem for each setting that one GPU does not accept.
fn refusals(spec: &Spec, gpu: &Gpu) -> Vec<FieldProblem> {
    let named = format!("GPU {} ({})", gpu.index, gpu.name);
    let mut problems = Vec::new();
    let mut refuse = |pointer: &str, detail: String| problems.push(FieldProblem::new(pointer, detail));
    if let Some(asked_w) = spec.power_limit_w {
        match gpu.power_limits {
            None => refuse(
                "/power_limit_w",
                format!("is {asked_w} W, but the power limit of {named} cannot be set"),
            ),
            Some(limits) => {
                let watts = |milliwatts: u32| f64::from(milliwatts) / 1000.0;
                let (min_w, max_w) = (watts(limits.min_mw), watts(limits.max_mw));
                let default = limits.default_mw.map(watts);
                let default = default.map_or(String::new(), |default| format!("; its default is {default}"));
                if !(min_w..=max_w).contains(&asked_w) {
                    let detail = format!("is {asked_w} W; accepted on {named} are {min_w} to {max_w} W{default}");
                    refuse("/power_limit_w", detail);
                }
            }
        }
    }
    let clocks = gpu.clocks.as_ref();
    if let Some(mhz) = spec.gpu_clock_mhz {
        match clocks {
            None => refuse(
                "/gpu_clock_mhz",
                format!("is {mhz} MHz, but the clock of {named} cannot be locked"),
            ),
            Some(clocks) if !(clocks.gpu_min_mhz..=clocks.gpu_max_mhz).contains(&mhz) => {
                let (min, max) = (clocks.gpu_min_mhz, clocks.gpu_max_mhz);
                refuse(
                    "/gpu_clock_mhz",
                    format!("is {mhz} MHz; accepted on {named} are {min} to {max} MHz"),
                );
            }
            Some(_) => {}
        }
    }
    if let Some(mhz) = spec.memory_clock_mhz {
        let known = clocks.map(|clocks| clocks.memory_mhz.as_slice()).unwrap_or_default();
        if !known.contains(&mhz) {
            let list = known.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            let accepted = if list.is_empty() {
                "none".to_owned()
            } else {
                format!("{list} MHz")
            };
            refuse(
                "/memory_clock_mhz",
                format!("is {mhz} MHz; accepted on {named} are {accepted}"),
            );
        }
    }
    problems
}
