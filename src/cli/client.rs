//! The subcommands that are clients of a server. They need neither its database nor its configuration.

mod arguments;
mod cancel;
mod cite;
mod compare;
mod ending;
mod error_text;
mod explain;
mod export;
mod figure_note;
mod given_file;
mod label;
mod list;
mod manifest;
mod metrics;
mod outlook;
mod part_file;
mod prompt_file;
mod quantity;
mod reporter;
mod results;
mod rows;
mod session;
mod status;
mod submit;
mod sweep;
mod watch;

pub use cancel::CancelArguments;
pub use cite::CiteArguments;
pub use compare::CompareArguments;
pub use ending::Ending;
pub use export::ExportArguments;
pub use label::LabelArguments;
pub use list::ListArguments;
pub use manifest::{BundleArguments, ManifestArguments};
pub use results::ResultsArguments;
pub use status::StatusArguments;
pub use submit::SubmitArguments;
pub use sweep::SweepArguments;

use std::process::ExitCode;

use clap::Subcommand;

use ending::EXIT_CODES;

#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Submit experiments to a server, and optionally wait until they end.
    #[command(after_help = EXIT_CODES)]
    Submit(SubmitArguments),
    /// Submit a sweep, one experiment for each combination of values, or show a stored one with its table.
    #[command(after_help = EXIT_CODES)]
    Sweep(SweepArguments),
    /// Show the progress of experiments, or watch them until they end.
    #[command(after_help = EXIT_CODES)]
    Status(StatusArguments),
    /// Print the metrics of completed experiments, or explain one metric.
    #[command(after_help = EXIT_CODES)]
    Results(ResultsArguments),
    /// Compare results from a server or from files; the first is the baseline.
    #[command(after_help = EXIT_CODES)]
    Compare(CompareArguments),
    /// Print the inputs of a result: experiment, model, prompts, engine and host, with versions and hashes.
    #[command(after_help = EXIT_CODES)]
    Manifest(ManifestArguments),
    /// Write a result, with all data it is computed from, to a file for `joulemark verify`.
    #[command(after_help = EXIT_CODES)]
    Bundle(BundleArguments),
    /// Print a paragraph for the methods section of a paper and its BibTeX entries.
    #[command(after_help = EXIT_CODES)]
    Cite(CiteArguments),
    /// List experiments, newest first.
    #[command(after_help = EXIT_CODES)]
    List(ListArguments),
    /// Cancel experiments.
    #[command(after_help = EXIT_CODES)]
    Cancel(CancelArguments),
    /// Set or remove the labels of an experiment.
    #[command(after_help = EXIT_CODES)]
    Label(LabelArguments),
    /// Write experiments, or the requests, tokens or time series of one, as CSV, JSON Lines or Parquet.
    #[command(after_help = EXIT_CODES)]
    Export(ExportArguments),
}

pub fn run(command: ClientCommand) -> ExitCode {
    match command {
        ClientCommand::Submit(arguments) => submit::run(arguments),
        ClientCommand::Sweep(arguments) => sweep::run(arguments),
        ClientCommand::Status(arguments) => status::run(arguments),
        ClientCommand::Results(arguments) => results::run(arguments),
        ClientCommand::Compare(arguments) => compare::run(&arguments),
        ClientCommand::Manifest(arguments) => manifest::print(&arguments),
        ClientCommand::Bundle(arguments) => manifest::fetch(&arguments),
        ClientCommand::Cite(arguments) => cite::run(&arguments),
        ClientCommand::List(arguments) => list::run(arguments),
        ClientCommand::Cancel(arguments) => cancel::run(arguments),
        ClientCommand::Label(arguments) => label::run(arguments),
        ClientCommand::Export(arguments) => export::run(arguments),
    }
}
