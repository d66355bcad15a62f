//! The program: parses the command line, runs it, chooses the exit code. All of it is in the part `cli`.

use std::process::ExitCode;

// Requests allocate small things and free them soon, on the same thread: what this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
