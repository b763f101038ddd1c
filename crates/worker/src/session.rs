use std::{
    fs::File,
    io::{BufRead, BufReader, Stdin, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::sync::mpsc;

use super::arrivals::schedule;
use super::pass::{self, Idle};
use super::protocol::{self, Job, Order, ProtocolError, Report};
use super::runner::{Outcome, Runner};
use crate::inference::{EngineError, TokenCounter};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{LoadReport, WarmUpEnd, WarmUpReport, Window};

const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

/// The reason why a session ended early.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The server has ended, so that there is nothing to report to.
    #[error("the server closed the pipe of the orders")]
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

/// The writer of reports. Several tasks may use it; lines are never interleaved.
#[derive(Clone)]
struct Reporter(Arc<Mutex<File>>);

impl Reporter {
    fn send(&self, report: &Report) -> Result<(), SessionError> {
        let line = protocol::encode(report);
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pipe.write_all(line.as_bytes())?)
    }
}

/// Reads orders on a separate thread, so that their end also ends a worker whose engine never yields.
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

/// Runs the session of a worker. A failure is reported before it is returned.
///
/// # Errors
/// Returns a [`SessionError`]; the process should end.
pub async fn run<R: Runner>(input: Stdin, reports: File) -> Result<(), SessionError> {
    let reporter = Reporter(Arc::new(Mutex::new(reports)));
    let mut orders = read_orders(input);
    reporter.send(&Report::Hello {
        pid: std::process::id(),
    })?;
    let outcome = serve::<R>(&mut orders, &reporter).await;
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

async fn serve<R: Runner>(orders: &mut Orders, reporter: &Reporter) -> Result<(), SessionError> {
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
    let idle = Idle::default();
    tokio::spawn(report_progress(reporter.clone(), counter.clone(), idle.clone()));
    let runner = load::<R>(&job, counter.clone(), reporter).await?;
    loop {
        match next(orders).await? {
            Order::WarmUp => {
                let start = Monotonic::now();
                let warm_up = warm_up(&runner, &job).await?;
                // The server estimates the remaining time from these tokens, however short the warm-up was.
                reporter.send(&Report::Progress { tokens: counter.get() })?;
                reporter.send(&Report::WarmedUp {
                    window: window(start, Monotonic::now()),
                    warm_up: Some(warm_up),
                })?;
            }
            Order::Measure { cycle } => measure(&runner, &job, (cycle, &idle), reporter).await?,
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

/// Warms a rank up. Each iteration is one batch, which is enough to fill caches and raise clocks; a whole pass could
/// take hours.
async fn warm_up<R: Runner>(runner: &R, job: &Job) -> Result<WarmUpReport, SessionError> {
    let spec = &job.spec;
    let batch_size = spec.batch_size as usize;
    // Each iteration continues with the next prompts; where iterations are compared, each runs the same ones.
    let mut upcoming = std::iter::repeat(runner).flat_map(R::prompts);
    let mut iteration_sec = Vec::new();
    let ended = loop {
        let iterations = iteration_sec.len() as u32;
        let is_enough = iterations >= spec.warmup_iterations;
        match &spec.warmup {
            None if is_enough => break WarmUpEnd::Iterations,
            Some(until) if is_enough && until.is_steady(&iteration_sec) => break WarmUpEnd::Steady,
            Some(until) if iterations >= until.max_iterations => break WarmUpEnd::MaxIterations,
            _ => {}
        }
        let begun = Monotonic::now();
        match spec.warmup {
            None => pass::closed(runner, spec, batch_size, upcoming.by_ref().take(batch_size)).await?,
            Some(_) => pass::closed(runner, spec, batch_size, runner.prompts().take(batch_size)).await?,
        };
        iteration_sec.push(Monotonic::now().sec_since(begun));
    };
    Ok(WarmUpReport {
        rank: job.rank,
        iterations: iteration_sec.len() as u32,
        ended,
        iteration_sec,
    })
}

async fn load<R: Runner>(job: &Job, counter: TokenCounter, reporter: &Reporter) -> Result<R, SessionError> {
    let start = Monotonic::now();
    reporter.send(&Report::Loading {
        at_monotonic_sec: start.as_sec(),
    })?;
    let loaded = R::load(job, counter.clone()).await?;
    // Tokens of the batch check do not count.
    counter.reset();
    let load = LoadReport {
        rank: job.rank,
        window: window(start, loaded.at),
        device: loaded.device,
        activation_dtype: loaded.activation_dtype,
        max_sequence_tokens: loaded.max_sequence_tokens,
        placement: job.placement.clone(),
        eos: Some(loaded.eos),
        server: loaded.server,
        batch_check: loaded.batch_check,
        layers: loaded.layers,
        gpu_memory: Vec::new(),
        paged_cache_tokens: loaded.paged_cache_tokens,
        cycle: None,
    };
    reporter.send(&Report::Loaded {
        load: Box::new(load),
        truncated_prompts: loaded.truncated_prompts,
    })?;
    Ok(loaded.runner)
}

async fn measure<R: Runner>(
    runner: &R,
    job: &Job,
    (cycle, idle): (u32, &Idle),
    reporter: &Reporter,
) -> Result<(), SessionError> {
    let Job { rank, spec, .. } = job;
    let schedule = schedule(spec, *rank, cycle);
    runner.begin_cycle().await;
    let start = Monotonic::now();
    let outcomes = match schedule {
        Some(schedule) => pass::when_due(runner, spec, (start, schedule), idle).await?,
        None => {
            let concurrency = spec.concurrency_of_rank(*rank) as usize;
            pass::closed(runner, spec, concurrency, runner.prompts()).await?
        }
    };
    let window = window(start, Monotonic::now());
    let load_generator = runner.load_generator();
    reporter.send(&Report::Measured { cycle, window })?;
    if let Some(load_generator) = load_generator {
        let server_report = Box::new(runner.server_report().await);
        reporter.send(&Report::Generated {
            cycle,
            load_generator,
            server_report,
        })?;
    }
    for outcome in outcomes {
        reporter.send(&match outcome {
            Outcome::Measured(request) => Report::Request { cycle, request },
            Outcome::Failed(request) => Report::RequestFailed { cycle, request },
        })?;
    }
    reporter.send(&Report::CycleReported { cycle })
}

fn window(start: Monotonic, end: Monotonic) -> Window {
    Window {
        start_monotonic_sec: start.as_sec(),
        end_monotonic_sec: end.as_sec(),
    }
}

async fn report_progress(reporter: Reporter, counter: TokenCounter, idle: Idle) {
    let mut last = 0;
    let mut ticks = tokio::time::interval(PROGRESS_PERIOD);
    loop {
        ticks.tick().await;
        let tokens = counter.get();
        if tokens != last || idle.get() {
            last = tokens;
            if reporter.send(&Report::Progress { tokens }).is_err() {
                return;
            }
        }
    }
}
