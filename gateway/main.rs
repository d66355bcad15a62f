//! The program: parses the command line, runs it, chooses the exit code.

fn main() {}
