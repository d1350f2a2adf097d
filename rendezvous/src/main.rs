//! The program: parse, do, exit code.

fn main() {}
