//! Which device a training stage computes on, and what of that enters its key.

use serde_json::Value;
use supermoe_workflow::Cell;

/// The params that choose it, in plugins that train. They enter the key as resolved, not as written.
pub(crate) const DEVICE_PARAM: &str = "device";
pub(crate) const DTYPE_PARAM: &str = "dtype";

/// What a training plugin's outputs depend on, besides its params.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// `cpu` or `cuda`.
    pub kind: String,
    pub dtype: String,
}

impl Device {
    /// None for plugins that do not train. `auto`, and no word at all, take CUDA where the stage
    /// asks for a GPU and the CPU otherwise.
    pub(crate) fn resolve(cell: &Cell) -> Option<Device> {
        if !cell.plugin.manifest.trains {
            return None;
        }
        let kind = match cell.params.get(DEVICE_PARAM).and_then(Value::as_str) {
            Some("auto") | None => {
                if cell.resources.gpus > 0 {
                    "cuda"
                } else {
                    "cpu"
                }
            }
            Some(named) => named.split(':').next().unwrap_or(named),
        };
        let dtype = cell
            .params
            .get(DTYPE_PARAM)
            .and_then(Value::as_str)
            .unwrap_or("f32");
        Some(Device {
            kind: kind.to_owned(),
            dtype: dtype.to_owned(),
        })
    }
}

/// The class of instructions in which floating-point results hold to the bit.
pub(crate) fn instruction_set() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let class = if std::arch::is_x86_feature_detected!("avx512f") {
            "x86-64-v4"
        } else if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
        {
            "x86-64-v3"
        } else {
            "x86-64-v1"
        };
        class.to_owned()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH.to_owned()
    }
}
