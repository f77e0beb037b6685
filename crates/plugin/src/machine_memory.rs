//! How much memory this machine has.

/// Bytes of memory, without what the system keeps on disk; none where the system does not tell.
pub fn memory_bytes() -> Option<u64> {
    of_meminfo("MemTotal:")
}

/// Bytes of memory and of swap space: what all programs together cannot go beyond.
pub fn memory_and_swap_bytes() -> Option<u64> {
    Some(memory_bytes()?.saturating_add(of_meminfo("SwapTotal:").unwrap_or(0)))
}

fn of_meminfo(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
