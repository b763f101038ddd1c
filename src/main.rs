use std::process::ExitCode;

fn main() -> ExitCode {
    joulemark::cli::main()
}
