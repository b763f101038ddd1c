use std::{
    fs::File,
    io::{BufRead, BufReader, Stdin, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use thiserror::Error;
use tokio::sync::mpsc;

use super::job::{PreparedPrompt, PreparedPrompts, prepare, sampling};
use super::protocol::{self, Job, Order, ProtocolError, Report};
use crate::inference::{Engine, EngineError, FinishReason, Generated, Generation, LoadRequest, TokenCounter};
use joulemark_experiment::{Device, Spec};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_measurement::{LoadReport, RequestMeasurement, Window};

const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

#[derive(Debug, Error)]
pub enum SessionError {
    /// The server went away; there is nobody to report to.
    #[error("the server closed the orders")]
    ServerGone,
    #[error("a report cannot be written: {0}")]
    Report(#[from] std::io::Error),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("expected {expected}, got {}", got.name())]
    OutOfOrder { expected: &'static str, got: Box<Order> },
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Reports may come from several tasks; a line is never torn.
#[derive(Clone)]
struct Reporter(Arc<Mutex<File>>);

impl Reporter {
    fn send(&self, report: &Report) -> Result<(), SessionError> {
        let line = protocol::encode(report);
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pipe.write_all(line.as_bytes())?)
    }
}

/// Orders are read on a thread of their own: end of file must end a worker whose engine never yields.
fn read_orders(input: Stdin) -> mpsc::UnboundedReceiver<Result<Order, ProtocolError>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(input).lines() {
            let Ok(line) = line else { break };
            if sender.send(protocol::decode(&line)).is_err() {
                return;
            }
        }
        std::process::exit(0);
    });
    receiver
}

/// The worker's whole life. A failure is reported before it is returned.
///
/// # Errors
/// [`SessionError`]; the process should end.
pub async fn run<E: Engine>(input: Stdin, reports: File) -> Result<(), SessionError> {
    let reporter = Reporter(Arc::new(Mutex::new(reports)));
    let mut orders = read_orders(input);
    reporter.send(&Report::Hello {
        pid: std::process::id(),
    })?;
    let outcome = serve::<E>(&mut orders, &reporter).await;
    if let Err(error) = &outcome {
        reporter.send(&Report::Failed {
            message: error.to_string(),
        })?;
    }
    outcome
}

type Orders = mpsc::UnboundedReceiver<Result<Order, ProtocolError>>;

async fn next(orders: &mut Orders) -> Result<Order, SessionError> {
    Ok(orders.recv().await.ok_or(SessionError::ServerGone)??)
}

async fn serve<E: Engine>(orders: &mut Orders, reporter: &Reporter) -> Result<(), SessionError> {
    let job = match next(orders).await? {
        Order::Load(job) => *job,
        other => {
            return Err(SessionError::OutOfOrder {
                expected: "load",
                got: Box::new(other),
            });
        }
    };
    let counter = TokenCounter::default();
    tokio::spawn(report_progress(reporter.clone(), counter.clone()));
    let (engine, prompts) = load::<E>(&job, counter.clone(), reporter).await?;
    loop {
        match next(orders).await? {
            Order::WarmUp => {
                let start = Monotonic::now();
                // Round and round, from where the iteration before has stopped.
                let mut upcoming = std::iter::repeat(&prompts).flat_map(PreparedPrompts::iter);
                for _ in 0..job.spec.warmup_iterations {
                    // One batch is enough to fill caches and raise clocks; a whole pass could last for hours.
                    let batch = upcoming.by_ref().take(job.spec.batch_size as usize);
                    pass(&engine, &job.spec, batch).await?;
                }
                // What is left of it is estimated by these, however short it was.
                reporter.send(&Report::Progress { tokens: counter.get() })?;
                reporter.send(&Report::WarmedUp {
                    window: window(start, Monotonic::now()),
                })?;
            }
            Order::Measure { cycle } => measure(&engine, &job.spec, &prompts, cycle, reporter).await?,
            Order::Finish => return Ok(()),
            other @ Order::Load(_) => {
                return Err(SessionError::OutOfOrder {
                    expected: "warm_up, measure or finish",
                    got: Box::new(other),
                });
            }
        }
    }
}

async fn load<E: Engine>(
    job: &Job,
    counter: TokenCounter,
    reporter: &Reporter,
) -> Result<(E, PreparedPrompts), SessionError> {
    let start = Monotonic::now();
    reporter.send(&Report::Loading {
        at_monotonic_sec: start.as_sec(),
    })?;
    let engine = E::load(LoadRequest {
        path: job.model_path.clone(),
        from_hub: job.from_hub,
        force_cpu: job.spec.device == Device::Cpu,
        fp_precision: job.spec.fp_precision,
        quantization: job.spec.quantization.clone(),
        batch_size: job.spec.batch_size,
        counter,
    })
    .await?;
    let loaded_at = Monotonic::now();
    let description = engine.description();
    let (prompts, truncated_prompts) = prepare(&engine, job).await?;
    let load = LoadReport {
        rank: job.rank,
        window: window(start, loaded_at),
        device: description.device,
        activation_dtype: description.activation_dtype,
        max_sequence_tokens: description.max_sequence_tokens,
        placement: job.placement.clone(),
    };
    reporter.send(&Report::Loaded {
        load,
        truncated_prompts,
    })?;
    Ok((engine, prompts))
}

async fn measure<E: Engine>(
    engine: &E,
    spec: &Spec,
    prompts: &PreparedPrompts,
    cycle: u32,
    reporter: &Reporter,
) -> Result<(), SessionError> {
    let start = Monotonic::now();
    let measured = pass(engine, spec, prompts.iter()).await?;
    let window = window(start, Monotonic::now());
    reporter.send(&Report::Measured { cycle, window })?;
    for request in measured {
        reporter.send(&Report::Request { cycle, request })?;
    }
    reporter.send(&Report::CycleReported { cycle })
}

/// Runs `prompts` with `batch_size` requests always in flight, each prompt taken when its turn comes; results in the
/// prompts' order.
async fn pass<E: Engine>(
    engine: &E,
    spec: &Spec,
    mut prompts: impl Iterator<Item = PreparedPrompt>,
) -> Result<Vec<RequestMeasurement>, EngineError> {
    let mut running = FuturesUnordered::new();
    let mut results = Vec::new();
    loop {
        while running.len() < spec.batch_size as usize
            && let Some(prompt) = prompts.next()
        {
            running.push(run_prompt(engine, spec, prompt));
        }
        match running.next().await {
            Some(measured) => results.push(measured?),
            None => break,
        }
    }
    results.sort_by_key(|request: &RequestMeasurement| request.prompt_index);
    Ok(results)
}

async fn run_prompt<E: Engine>(
    engine: &E,
    spec: &Spec,
    prompt: PreparedPrompt,
) -> Result<RequestMeasurement, EngineError> {
    let input_tokens = prompt.tokens.len() as u32;
    let generated = engine
        .generate(Generation {
            tokens: prompt.tokens,
            max_output_tokens: spec.max_output_tokens_of(prompt.index),
            min_output_tokens: spec.min_output_tokens,
            sampling: sampling(spec, prompt.index),
        })
        .await?;
    Ok(request_measurement(prompt.index, input_tokens, generated))
}

fn request_measurement(prompt_index: u32, input_tokens: u32, generated: Generated) -> RequestMeasurement {
    let ttft_ms = generated
        .chosen_at
        .first()
        .map(|first| first.sec_since(generated.sent_at) * MILLISECONDS_PER_SECOND);
    RequestMeasurement {
        prompt_index,
        input_tokens,
        output_tokens: generated.token_ids.len() as u32,
        sent_monotonic_sec: generated.sent_at.as_sec(),
        completed_monotonic_sec: generated.completed_at.as_sec(),
        ttft_ms,
        token_monotonic_sec: generated.chosen_at.iter().map(|at| at.as_sec()).collect(),
        output_token_ids: generated.token_ids,
        finish_reason: match generated.finish_reason {
            FinishReason::Length => "length".to_owned(),
            FinishReason::Stop => "stop".to_owned(),
        },
    }
}

fn window(start: Monotonic, end: Monotonic) -> Window {
    Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    }
}

async fn report_progress(reporter: Reporter, counter: TokenCounter) {
    let mut last = 0;
    let mut ticks = tokio::time::interval(PROGRESS_PERIOD);
    loop {
        ticks.tick().await;
        let tokens = counter.get();
        if tokens != last {
            last = tokens;
            if reporter.send(&Report::Progress { tokens }).is_err() {
                return;
            }
        }
    }
}
