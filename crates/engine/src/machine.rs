//! The machine that a run runs on. It stands in the journal and in reports, in no key and no output.

use serde::{Deserialize, Serialize};

use crate::device::instruction_set;
use crate::run_options::Slots;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux x86_64`
    pub system: String,
    /// The name that the processor gives itself; none where it gives none.
    #[serde(default)]
    pub processor: Option<String>,
    /// Cores that this process may use.
    pub cpus: u32,
    pub memory_bytes: u64,
    /// The class of instructions in which floating-point results hold to the bit.
    pub instruction_set: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Machine {
        let slots = Slots::of_this_machine();
        Machine {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: processor(),
            cpus: slots.cpus,
            memory_bytes: slots.memory_bytes,
            instruction_set: instruction_set(),
        }
    }
}

fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
