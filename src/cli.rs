//! The command line: one file for each subcommand. It opens the database, the energy meter and the engines, and passes
//! them to the other modules. A subcommand fails with an `anyhow::Error`, which is printed.

mod access;
mod callback;
mod client;
mod completions;
mod config;
mod database_lock;
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
    /// Print an experiment as YAML, with the meaning and the default of every field.
    Example,
    /// Run a command and print the energy that the host used meanwhile.
    Meter(meter::MeterArguments),
    /// Check every energy source and every engine; print why one does not work and how to fix it.
    Doctor(doctor::DoctorArguments),
    /// Compute the FLOPs, bytes and arithmetic intensity of a model for given token counts, without running it.
    Flops(flops::FlopsArguments),
    /// Check whether an OpenAI-compatible server supports what a measurement needs.
    Probe(probe::ProbeArguments),
    /// Recompute the figures of a bundle, offline, and list those that differ. Exits with 9 if any differs.
    Verify(verify::VerifyArguments),
    /// Create, list and revoke API keys.
    Key(key::KeyArguments),
    /// Restore the power limits and clocks of GPUs.
    Power(power::PowerArguments),
    /// Check, back up, prune or migrate the database.
    Db(db::DbArguments),
    /// Print the configuration in force and the origin of each value.
    Config(options::Options),
    /// Print the OpenAPI document of the API.
    Openapi(openapi::OpenapiArguments),
    /// Print the completion script for a shell.
    Completions(completions::CompletionsArguments),
    /// Print the manual page, or write the pages of all subcommands.
    Man(man::ManArguments),
    /// Run one rank of an experiment; started by the service, not by hand.
    #[command(hide = true)]
    Worker(worker::WorkerArguments),
    /// Start and end the inference server of an experiment; started by the service, not by hand.
    #[command(hide = true)]
    Keep(keep::KeepArguments),
}

/// Runs the program; returns its exit code.
pub fn main() -> ExitCode {
    if !joulemark_worker::cpu::is_good_enough() {
        return ExitCode::FAILURE;
    }
    // A build with engines has several rustls providers compiled in, and rustls selects none of several.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        unreachable!("nothing ran before this");
    }
    run()
}

/// Runs the subcommand. Never inlined into the CPU check: its first instruction may be one that this CPU lacks.
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
        // The reader closed the pipe, so there is nobody to print a message for.
        Err(error) if Ending::of_error(&error) == Ending::BrokenPipe => Ending::BrokenPipe.into(),
        Err(error) => {
            eprintln!("joulemark: {error:#}");
            ExitCode::FAILURE
        }
    }
}
