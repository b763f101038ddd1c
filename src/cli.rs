//! The command line: one file a subcommand. The only place that names concrete engines, sources and databases, and
//! the only one that uses `anyhow`: from here on an error is only shown.

mod access;
mod callback;
mod client;
mod completions;
mod config;
mod db;
mod doctor;
mod energy;
mod example;
mod flops;
mod keep;
mod key;
mod logging;
mod machine;
mod man;
mod meter;
mod node;
mod only_server;
mod open_files;
mod openapi;
mod options;
mod power;
mod probe;
mod say;
mod serve;
mod service_manager;
mod verify;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use client::Ending;

/// Measures what an LLM really costs to run: throughput, energy and FLOPs of real inference.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve(options::Options),
    #[command(flatten)]
    Client(client::ClientCommand),
    /// Print an experiment as YAML, every field with what it means and its default.
    Example,
    /// Run a command and say what energy the host used meanwhile.
    Meter(meter::MeterArguments),
    /// Say of every energy source whether it works, why not and the fix.
    Doctor(doctor::DoctorArguments),
    /// Count what a model needs for some tokens: FLOPs, bytes, arithmetic intensity; nothing is run.
    Flops(flops::FlopsArguments),
    /// Ask an OpenAI-compatible server what it honours of what a measurement asks for.
    Probe(probe::ProbeArguments),
    /// Compute the figures of a bundle anew and name each that differs; no server is asked. Exits with 9 where one differs.
    Verify(verify::VerifyArguments),
    /// Make, list and revoke API keys.
    Key(key::KeyArguments),
    /// Put back power limits and clocks of GPUs.
    Power(power::PowerArguments),
    /// Check, back up, prune or migrate the database.
    Db(db::DbArguments),
    /// Print the configuration in force and where each value came from.
    Config(options::Options),
    /// Print the API's OpenAPI document.
    Openapi(openapi::OpenapiArguments),
    /// Print completions for a shell.
    Completions(completions::CompletionsArguments),
    /// Print the manual page, or write those of all subcommands.
    Man(man::ManArguments),
    /// One rank of an experiment; started by the service, not by hand.
    #[command(hide = true)]
    Worker(worker::WorkerArguments),
    /// Keeps the server that an experiment was started with; started by the service, not by hand.
    #[command(hide = true)]
    Keep(keep::KeepArguments),
}

pub fn main() -> ExitCode {
    if !joulemark_worker::cpu::is_good_enough() {
        return ExitCode::FAILURE;
    }
    // Several are compiled in where the engines are built as well, and rustls picks none of several by itself.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        unreachable!("nothing ran before this");
    }
    run()
}

/// Apart from the check and never inlined into it: this function's first instruction may be one that is missing.
#[inline(never)]
fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(options) => serve::run(options),
        Command::Client(command) => return client::run(command),
        Command::Meter(arguments) => return meter::run(arguments),
        Command::Doctor(arguments) => return doctor::run(arguments),
        Command::Flops(arguments) => flops::run(arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Verify(arguments) => return verify::run(&arguments),
        Command::Key(arguments) => key::run(arguments),
        Command::Power(arguments) => power::run(arguments),
        Command::Db(arguments) => db::run(arguments),
        Command::Config(options) => config::run(options),
        Command::Example => example::run(),
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments, &Arguments::command()),
        Command::Man(arguments) => man::run(&arguments, Arguments::command()),
        Command::Worker(arguments) => worker::run(arguments),
        Command::Keep(arguments) => return keep::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closed a pipe has had enough, and knows it.
        Err(error) if Ending::of_error(&error) == Ending::BrokenPipe => Ending::BrokenPipe.into(),
        Err(error) => {
            eprintln!("joulemark: {error:#}");
            ExitCode::FAILURE
        }
    }
}
