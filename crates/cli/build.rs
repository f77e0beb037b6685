//! Links the binary at a fixed address on Linux. Otherwise the loader relocates some four
//! megabytes of tables, most of them DataFusion's, each time a command or a worker starts.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|name| name == "linux") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
