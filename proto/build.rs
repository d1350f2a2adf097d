//! Generates the control messages from `control.proto` with a compiler written in Rust: no `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = "src/control/control.proto";
    println!("cargo::rerun-if-changed={source}");
    let descriptors = protox::compile([source], ["src/control"])?;
    prost_build::Config::new().skip_debug(["."]).compile_fds(descriptors)?;
    Ok(())
}
