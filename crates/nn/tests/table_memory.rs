//! What a table in a file takes of memory, as the system counts it: alone in a process of its own.
#![cfg(target_os = "linux")]

use supermoe_nn::Table;
use supermoe_nn::tables::{RowOptimizer, TablePlace, TableSettings};

const ROWS: usize = 1_000_000;
const DIM: usize = 16;
const MIB: u64 = 1 << 20;

/// Bytes of this process that are in memory and in no file: what the system cannot take back without a
/// swap.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes
        .and_then(|text| text.parse().ok())
        .map_or(0, |kib: u64| kib * 1024)
}

#[test]
fn a_table_in_a_file_is_no_anonymous_memory() {
    let folder = tempfile::tempdir().unwrap();
    let taken = |place: TablePlace| {
        let before = anonymous_bytes();
        let settings = TableSettings {
            place,
            ..RowOptimizer::LazyAdam.into()
        };
        let mut table = Table::new("item", ROWS, DIM, 1.0, settings, 1).unwrap();
        let snapshot = table.snapshot().unwrap();
        table.restore(&snapshot).unwrap();
        let path = folder.path().join("weights");
        let parameters = supermoe_nn::Parameters::new(supermoe_nn::Cpu::default(), 0);
        let groups = [supermoe_nn::Group::Tables];
        parameters.save(&path, &groups, &[&table], "").unwrap();
        anonymous_bytes().saturating_sub(before)
    };
    // Values and their copy, 61 MiB each; the state is untouched, and so takes nothing.
    let in_file = taken(TablePlace::File(folder.path().to_owned()));
    assert!(in_file < 16 * MIB, "{in_file} bytes");
    let in_memory = taken(TablePlace::Memory);
    assert!(in_memory > 110 * MIB, "{in_memory} bytes");
}
