//! The subcommands that talk to a server: they need no database and no configuration of it.

mod arguments;
mod beside;
mod cancel;
mod cite;
mod compare;
mod complaint;
mod ending;
mod explain;
mod export;
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
    /// Submit experiments to a server, and wait for their ends if asked to.
    #[command(after_help = EXIT_CODES)]
    Submit(SubmitArguments),
    /// Submit a sweep, an experiment for each of many values of its fields, and wait for its table if asked to.
    #[command(after_help = EXIT_CODES)]
    Sweep(SweepArguments),
    /// Show how far experiments are, or watch them to their end.
    #[command(after_help = EXIT_CODES)]
    Status(StatusArguments),
    /// Print the metrics of completed experiments, or explain one.
    #[command(after_help = EXIT_CODES)]
    Results(ResultsArguments),
    /// Compare results, of a server or in files: the first is the baseline.
    #[command(after_help = EXIT_CODES)]
    Compare(CompareArguments),
    /// Print what decided a result: experiment, model, prompts, engine and host by versions and hashes.
    #[command(after_help = EXIT_CODES)]
    Manifest(ManifestArguments),
    /// Write a result with all that it is computed from to a file, for `joulemark verify`.
    #[command(after_help = EXIT_CODES)]
    Bundle(BundleArguments),
    /// Print a paragraph for a paper's methods and BibTeX entries for its bibliography.
    #[command(after_help = EXIT_CODES)]
    Cite(CiteArguments),
    /// List experiments, newest first.
    #[command(after_help = EXIT_CODES)]
    List(ListArguments),
    /// Cancel experiments.
    #[command(after_help = EXIT_CODES)]
    Cancel(CancelArguments),
    /// Set or remove an experiment's labels.
    #[command(after_help = EXIT_CODES)]
    Label(LabelArguments),
    /// Write experiments, or one's requests, tokens or time series, as CSV, JSON lines or Parquet.
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
