//! The program: parses the command line, runs it, chooses the exit code. All of it is in the part `cli`.

mod wiping;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: wiping::Wiping = wiping::Wiping;

fn main() -> ExitCode {
    cli::run()
}
