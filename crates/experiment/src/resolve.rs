use super::batch_rules::batch_problem;
use super::choices::{Device, Distribution, FpPrecision, GpuSelector};
use super::decoder::{Decoder, DecoderRequest};
use super::drawn_outputs::with_drawn_outputs;
use super::field::FieldProblem;
use super::gpu_fit::unfit_gpus;
use super::gpu_settings::gpu_setting_problems;
use super::host::{Host, Model};
use super::line_checks::line_problems;
use super::load::Load;
use super::load_rules::load_problem;
use super::served::default_engine;
use super::server_rules::server_problems;
use super::submission::{ExperimentRequest, RECOMMENDED_CYCLES, RECOMMENDED_WARMUPS, Resolved, Spec};
use super::{DatasetPrompts, Prompts};
use super::{Warning, WarningCode};
use joulemark_measurement::quoted;

/// Fills in the defaults and checks the request against the host and the model: what cannot run here, and what the
/// engine would silently ignore, is a problem. `model` is `None` where the model is a problem already, so that the
/// other fields are still checked.
///
/// # Errors
/// Returns every problem that was found, each with what is accepted.
pub fn resolve(
    request: ExperimentRequest,
    host: &Host,
    model: Option<&Model>,
) -> Result<(Spec, Vec<Warning>), Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let gpus = known_gpus(&request, host, &mut problems);
    let needs_program = !model.is_some_and(|model| model.is_pretended || model.is_served);
    let computes_on_gpus = !needs_program || host.computing_gpus().next().is_some();
    let device = device(&request, host, computes_on_gpus, &mut problems);
    let gpu_count = gpu_count(&request, host, device, &mut problems);
    let num_processes = num_processes(&request, host, device, gpu_count, &mut problems);
    if needs_program {
        problems.extend(unfit_gpus(&request, host, device, gpu_count));
    }
    let prompts = sized_dataset(prompts(&request, host), host, &mut problems);
    let request = with_drawn_outputs(request, &prompts, &mut problems);
    let decoder = request.decoder.clone().unwrap_or_default();
    let model_name = request.model_name.clone().unwrap_or_default();
    let resolved = Resolved {
        config_name: request.config_name.clone().unwrap_or_else(|| model_name.clone()),
        model_name,
        prompts,
        decoder: Decoder::resolved(decoder.clone()),
        num_processes,
        gpus,
        gpu_count,
        device,
        engine: request.engine.clone().unwrap_or_else(default_engine),
        engine_arguments: request.engine_arguments.clone().unwrap_or_default(),
    };
    let spec = request.filled(resolved);
    output_lengths(&spec, &mut problems);
    problems.extend(spec.stop_rule.as_ref().and_then(|rule| rule.problem(spec.num_cycles)));
    problems.extend(
        spec.warmup
            .as_ref()
            .and_then(|warm_up| warm_up.problem(spec.warmup_iterations)),
    );
    let decodes_alone = model.is_some_and(|model| !model.is_served && !model.is_pretended);
    problems.extend(
        spec.load
            .as_ref()
            .and_then(|load| load_problem(load, &spec, decodes_alone)),
    );
    sampling(&decoder, &spec.decoder, &mut problems);
    fewer_prompts_than_ranks(&spec, &mut problems);
    problems.extend(gpu_setting_problems(&spec, host));
    problems.extend(line_problems(&spec, model.and_then(|model| model.max_context_tokens)));
    if let Some(model) = model {
        model_limits(&spec, model, &mut problems);
    }
    let is_served = model.is_some_and(|model| model.is_served);
    if is_served {
        problems.extend(server_problems(&spec));
    } else if model.is_some_and(|model| !model.is_pretended) {
        problems.extend(batch_problem(&spec));
    }
    if !is_served && spec.device == Device::Cpu && spec.fp_precision == FpPrecision::Bfloat16 {
        problems.push(FieldProblem::new(
            "/fp_precision",
            "is bfloat16, which the engine does not support on the CPU; accepted is float32, float16 or auto",
        ));
    }
    if problems.is_empty() {
        let warnings = warnings(&spec, is_served);
        Ok((spec, warnings))
    } else {
        Err(problems)
    }
}

/// Returns the list of the host's GPUs for an error message, or that there is none.
fn what_there_is(host: &Host) -> String {
    if host.gpus.is_empty() {
        return "there is no GPU here".to_owned();
    }
    let list = host
        .gpus
        .iter()
        .map(|gpu| format!("{} ({}, {})", gpu.index, gpu.name, gpu.uuid));
    format!("there are {}", list.collect::<Vec<_>>().join("; "))
}

/// Returns the UUIDs of the named GPUs.
fn known_gpus(request: &ExperimentRequest, host: &Host, problems: &mut Vec<FieldProblem>) -> Vec<String> {
    let mut uuids = Vec::new();
    for (position, selector) in request.gpus.iter().flatten().enumerate() {
        let pointer = format!("/gpus/{position}");
        let found = host.gpus.iter().find(|gpu| match selector {
            GpuSelector::Index(index) => gpu.index == *index,
            GpuSelector::Uuid(uuid) => gpu.uuid == *uuid,
        });
        let shown = match selector {
            GpuSelector::Index(index) => index.to_string(),
            GpuSelector::Uuid(uuid) => quoted(uuid).to_string(),
        };
        match found {
            None => problems.push(FieldProblem::new(
                pointer,
                format!("is {shown}, which this host does not have; {}", what_there_is(host)),
            )),
            Some(gpu) if uuids.contains(&gpu.uuid) => problems.push(FieldProblem::new(
                pointer,
                format!("is {shown}, the same GPU as an earlier item; name each GPU once"),
            )),
            Some(gpu) => uuids.push(gpu.uuid.clone()),
        }
    }
    uuids
}

/// Returns the device that inference runs on, `auto` resolved.
fn device(
    request: &ExperimentRequest,
    host: &Host,
    computes_on_gpus: bool,
    problems: &mut Vec<FieldProblem>,
) -> Device {
    let asked = request.device.unwrap_or(Device::Auto);
    let wants_cuda = match asked {
        Device::Cpu => false,
        Device::Cuda => true,
        Device::Auto => {
            let none_is_wanted = request.gpu_count == Some(0);
            let any_is_there = host.computing_gpus().next().is_some();
            request.gpus.is_some() || (!none_is_wanted && (request.gpu_count.is_some() || any_is_there))
        }
    };
    if !wants_cuda {
        return Device::Cpu;
    }
    if asked == Device::Cuda && host.gpus.is_empty() {
        problems.push(FieldProblem::new(
            "/device",
            format!("is cuda; {}: accepted here is cpu", what_there_is(host)),
        ));
    } else if !computes_on_gpus && !host.gpus.is_empty() {
        let pointer = match (asked, request.gpus.is_some()) {
            (Device::Cuda, _) => "/device",
            (_, true) => "/gpus",
            (_, false) => "/gpu_count",
        };
        problems.push(FieldProblem::new(
            pointer,
            format!(
                "asks for inference on a GPU, but {}; accepted here is device cpu, which leases and meters the named GPUs \
                 while inference runs on the CPU",
                host.refused_gpus()
            ),
        ));
    }
    Device::Cuda
}

/// Returns the number of GPUs, named or not.
fn gpu_count(request: &ExperimentRequest, host: &Host, device: Device, problems: &mut Vec<FieldProblem>) -> u32 {
    let (pointer, count) = match (&request.gpus, request.gpu_count, device) {
        (Some(named), count, _) => {
            let named = named.len() as u32;
            // Experiments of versions without the count are shown with 0.
            if let Some(count) = count.filter(|count| ![0, named].contains(count)) {
                let detail = format!("is {count} while gpus names {named}; leave one of the two out");
                problems.push(FieldProblem::new("/gpu_count", detail));
            }
            return named;
        }
        (None, Some(0), Device::Cuda) => {
            let detail = "is 0 while device is cuda; accepted is 1 or more, or device cpu";
            problems.push(FieldProblem::new("/gpu_count", detail));
            return 0;
        }
        (None, Some(count), _) => ("/gpu_count", count),
        (None, None, Device::Cuda) => ("/num_processes", request.num_processes.unwrap_or(1)),
        (None, None, _) => return 0,
    };
    // On a host without GPUs this is a problem of the device, which is noted there.
    let is_said = host.gpus.is_empty() && device == Device::Cuda && request.device == Some(Device::Cuda);
    if count as usize > host.gpus.len() && !is_said {
        let each = if pointer == "/num_processes" {
            ", one GPU each"
        } else {
            ""
        };
        let detail = format!("is {count}{each}; {}", what_there_is(host));
        problems.push(FieldProblem::new(pointer, detail));
    }
    count
}

/// Returns the number of ranks.
fn num_processes(
    request: &ExperimentRequest,
    host: &Host,
    device: Device,
    gpus: u32,
    problems: &mut Vec<FieldProblem>,
) -> u32 {
    let wanted = request.num_processes.unwrap_or(1);
    if gpus > 0 && !gpus.is_multiple_of(wanted) {
        problems.push(FieldProblem::new(
            "/num_processes",
            format!("is {wanted}; accepted is a divisor of the number of GPUs, which is {gpus}"),
        ));
    }
    if device == Device::Cpu && wanted > host.cpus {
        problems.push(FieldProblem::new(
            "/num_processes",
            format!(
                "is {wanted}; accepted is at most one rank for each CPU, and there are {} here",
                host.cpus
            ),
        ));
    }
    wanted
}

/// Returns the prompts; an empty list where other fields have them.
fn prompts(request: &ExperimentRequest, host: &Host) -> Prompts {
    let has_lines = request.prompt_lines.as_ref().is_some_and(|lines| !lines.is_empty());
    let replay = request.load.as_ref().and_then(Load::replay);
    if has_lines || request.prompt_source.is_some() || replay.is_some_and(|replay| replay.has_prompts) {
        return Prompts::Texts(Vec::new());
    }
    request.prompts.clone().unwrap_or(Prompts::Dataset(DatasetPrompts {
        dataset: host.default_dataset.clone(),
        count: None,
    }))
}

/// Fills in the size of a built-in set.
fn sized_dataset(prompts: Prompts, host: &Host, problems: &mut Vec<FieldProblem>) -> Prompts {
    let Prompts::Dataset(DatasetPrompts { dataset, count }) = prompts else {
        return prompts;
    };
    let Some((_, size)) = host.datasets.iter().find(|(name, _)| *name == dataset) else {
        let names = host
            .datasets
            .iter()
            .map(|(name, size)| format!("{name} ({size} prompts)"));
        problems.push(FieldProblem::new(
            "/prompts/dataset",
            format!(
                "is {dataset}; accepted are {}",
                names.collect::<Vec<_>>().join(", "),
                dataset = quoted(&dataset)
            ),
        ));
        return Prompts::Dataset(DatasetPrompts { dataset, count });
    };
    if let Some(count) = count.filter(|count| count > size) {
        problems.push(FieldProblem::new(
            "/prompts/count",
            format!("is {count}; {dataset} has {size} prompts, accepted are 1 to {size}"),
        ));
    }
    Prompts::Dataset(DatasetPrompts {
        dataset,
        count: count.or(Some(*size)),
    })
}

fn output_lengths(spec: &Spec, problems: &mut Vec<FieldProblem>) {
    let (least, most) = (spec.min_output_tokens, spec.max_output_tokens);
    if least > most {
        problems.push(FieldProblem::new(
            "/min_output_tokens",
            format!("is {least}; accepted is at most max_output_tokens, which is {most}"),
        ));
    }
}

/// Lower bounds of sampling parameters: with smaller ones logits overflow, and every choice is the same token.
const MIN_TEMPERATURE: f64 = 1e-6;
const MIN_REPETITION_PENALTY: f64 = 0.01;

fn sampling(asked: &DecoderRequest, resolved: &Decoder, problems: &mut Vec<FieldProblem>) {
    if resolved.temperature > 0.0 && resolved.temperature < MIN_TEMPERATURE {
        let detail = format!(
            "is {:e}; accepted are 0, which is greedy, and numbers from {MIN_TEMPERATURE} to 100",
            resolved.temperature
        );
        problems.push(FieldProblem::new("/decoder/temperature", detail));
        return;
    }
    if let Some(penalty) = resolved
        .repetition_penalty
        .filter(|penalty| *penalty < MIN_REPETITION_PENALTY)
    {
        let detail = format!("is {penalty:e}; accepted are numbers from {MIN_REPETITION_PENALTY} to 100");
        problems.push(FieldProblem::new("/decoder/repetition_penalty", detail));
    }
    if resolved.do_sample && resolved.temperature == 0.0 {
        problems.push(FieldProblem::new(
            "/decoder/do_sample",
            "is true while temperature is 0; sampling needs a temperature above 0, greedy decoding needs false",
        ));
    }
    if !resolved.do_sample {
        let sampling_only = [
            ("temperature", resolved.temperature > 0.0),
            ("top_k", asked.top_k.is_some_and(|k| k != 1)),
            ("top_p", asked.top_p.is_some_and(|p| p < 1.0)),
            ("min_p", asked.min_p.is_some_and(|p| p > 0.0)),
            ("seed", asked.seed.is_some()),
        ];
        for (name, _) in sampling_only.into_iter().filter(|(_, given)| *given) {
            problems.push(FieldProblem::new(
                format!("/decoder/{name}"),
                "has no effect while decoding is greedy; leave it out or set do_sample true and a temperature above 0",
            ));
        }
    }
}

fn fewer_prompts_than_ranks(spec: &Spec, problems: &mut Vec<FieldProblem>) {
    let count = spec.prompt_count().unwrap_or(0);
    if spec.distribution == Distribution::Shard && count > 0 && count < spec.num_processes {
        problems.push(FieldProblem::new(
            spec.prompts_pointer(),
            format!(
                "holds {count} prompts for {} ranks, so that a rank would have none; accepted are at least as many prompts as \
                 ranks, or distribution replicate",
                spec.num_processes
            ),
        ));
    }
}

/// Notes what the model or its engine does not support, so that it fails at submission instead of during the run.
fn model_limits(spec: &Spec, model: &Model, problems: &mut Vec<FieldProblem>) {
    if model.is_gguf && spec.fp_precision != FpPrecision::Auto {
        problems.push(FieldProblem::new(
            "/fp_precision",
            "cannot be chosen for a GGUF, whose file fixes its types; accepted is auto",
        ));
    }
    if model.is_gguf && spec.quantization.is_some() {
        problems.push(FieldProblem::new(
            "/quantization",
            "cannot be chosen for a GGUF, which is already quantized; leave it out",
        ));
    }
    let is_synthetic = matches!(spec.prompts, Prompts::Synthetic { .. });
    if !model.has_chat_template && !spec.raw_prompt && !is_synthetic {
        problems.push(FieldProblem::new(
            "/raw_prompt",
            "is false, but the model has no chat template; accepted for this model is true",
        ));
    }
    let Some(context) = model.max_context_tokens else {
        return;
    };
    if u64::from(spec.max_output_tokens) >= context {
        problems.push(FieldProblem::new(
            "/max_output_tokens",
            format!(
                "is {}; the model's context is {context} tokens, prompt included",
                spec.max_output_tokens
            ),
        ));
        return;
    }
    let room = context - u64::from(spec.max_output_tokens);
    let over = |tokens: u32| u64::from(tokens) > room;
    let detail = |tokens: u32| {
        format!(
            "is {tokens}; with max_output_tokens {} the model's context of {context} tokens leaves {room}",
            spec.max_output_tokens
        )
    };
    if let Some(tokens) = spec.max_input_tokens.filter(|tokens| over(*tokens)) {
        problems.push(FieldProblem::new("/max_input_tokens", detail(tokens)));
    }
    if let Prompts::Synthetic { synthetic } = &spec.prompts {
        let (_, longest) = synthetic.input_bounds();
        if over(longest.min(spec.max_input_tokens.unwrap_or(u32::MAX))) {
            let pointer = match synthetic.input_length {
                Some(_) => "/prompts/synthetic/input_length/max",
                None => "/prompts/synthetic/input_tokens",
            };
            problems.push(FieldProblem::new(pointer, detail(longest)));
        }
    }
}

/// Returns warnings about settings that are accepted but weaken the result; the result repeats them.
fn warnings(spec: &Spec, is_served: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code, message: String| warnings.push(Warning { code, message });
    if spec.warmup.is_none() && spec.warmup_iterations < RECOMMENDED_WARMUPS {
        let given = spec.warmup_iterations;
        warn(
            WarningCode::FewWarmups,
            format!("{given} warm-up iterations; {RECOMMENDED_WARMUPS} to 5 are recommended"),
        );
    }
    if spec.num_cycles < RECOMMENDED_CYCLES {
        let given = spec.num_cycles;
        warn(
            WarningCode::FewCycles,
            format!("{given} measured cycles; {RECOMMENDED_CYCLES} or more are recommended"),
        );
    }
    if spec.decoder.do_sample {
        let temperature = spec.decoder.temperature;
        warn(
            WarningCode::Sampling,
            format!("tokens are sampled at temperature {temperature}; greedy decoding (0) is recommended"),
        );
    }
    if spec.device == Device::Cpu && spec.gpu_count > 0 && !is_served {
        let count = spec.gpu_count;
        warn(
            WarningCode::GpusMeteredNotUsed,
            format!("inference runs on the CPU while {count} leased GPUs are metered: their energy is in the total"),
        );
    }
    warnings
}
