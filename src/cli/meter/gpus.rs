//! Parses `--gpus`. Pure.

use anyhow::bail;

use joulemark_measurement::quoted;
use joulemark_meter::GpuDevice;

/// GPUs that are metered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuChoice {
    All,
    /// NVML indices or UUIDs, as written; empty for `none`.
    Named(Vec<String>),
}

impl GpuChoice {
    /// Parses the list; `None` selects all GPUs.
    pub fn parse(list: Option<&str>) -> anyhow::Result<Self> {
        let Some(list) = list else { return Ok(Self::All) };
        match list.trim() {
            "all" => return Ok(Self::All),
            "none" | "" => return Ok(Self::Named(Vec::new())),
            _ => {}
        }
        let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
        let is_uuid = |name: &str| name.starts_with("GPU-") || name.starts_with("MIG-");
        for name in &names {
            if name.parse::<u32>().is_err() && !is_uuid(name) {
                bail!(
                    "--gpus has {name}; accepted are NVML indices (0,1), UUIDs (GPU-…), all and none",
                    name = quoted(&name)
                );
            }
        }
        Ok(Self::Named(names))
    }

    /// Returns the UUIDs in the given order, each once. `refused_slice` returns why a MIG slice cannot be metered.
    pub fn among(
        &self,
        present: &[GpuDevice],
        refused_slice: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Vec<String>> {
        let Self::Named(names) = self else {
            return Ok(present.iter().map(|gpu| gpu.uuid.clone()).collect());
        };
        let mut uuids = Vec::new();
        for name in names {
            let is_it = |gpu: &&GpuDevice| gpu.uuid == *name || name.parse() == Ok(gpu.index);
            match present.iter().find(is_it) {
                None if let Some(why) = refused_slice(name) => bail!("--gpus names {name}, which {why}"),
                None => bail!(
                    "--gpus names {name}, which this host does not have; {}",
                    what_there_is(present)
                ),
                Some(gpu) if uuids.contains(&gpu.uuid) => {}
                Some(gpu) => uuids.push(gpu.uuid.clone()),
            }
        }
        Ok(uuids)
    }
}

fn what_there_is(present: &[GpuDevice]) -> String {
    if present.is_empty() {
        return "NVML shows no GPU on this host (`joulemark doctor` prints why)".to_owned();
    }
    let named = |gpu: &GpuDevice| {
        format!(
            "{} ({}, {})",
            gpu.index,
            gpu.name.as_deref().unwrap_or("unnamed"),
            gpu.uuid
        )
    };
    format!("there are {}", present.iter().map(named).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(index: u32, uuid: &str) -> GpuDevice {
        GpuDevice {
            index,
            uuid: uuid.to_owned(),
            name: Some("H100".to_owned()),
            compute_capability: None,
            memory_bytes: None,
            driver_version: None,
            power_limits: None,
            lockable_clocks: None,
            energy_method: None,
            live_power_w: None,
            problem: None,
        }
    }

    fn chosen(list: Option<&str>) -> anyhow::Result<Vec<String>> {
        GpuChoice::parse(list)?.among(&[gpu(0, "GPU-a"), gpu(1, "GPU-b")], |_| None)
    }

    #[test]
    fn gpus_are_named_by_index_or_uuid_and_duplicates_are_dropped() {
        assert_eq!(chosen(None).unwrap(), ["GPU-a", "GPU-b"]);
        assert_eq!(chosen(Some("1, GPU-a,GPU-b")).unwrap(), ["GPU-b", "GPU-a"]);
        assert!(chosen(Some("none")).unwrap().is_empty());
    }

    #[test]
    fn an_unknown_gpu_is_rejected_with_the_gpus_of_this_host() {
        let message = chosen(Some("0,7")).unwrap_err().to_string();
        assert_eq!(
            message,
            "--gpus names 7, which this host does not have; there are 0 (H100, GPU-a); 1 (H100, GPU-b)"
        );
        assert!(
            chosen(Some("first"))
                .unwrap_err()
                .to_string()
                .contains("accepted are NVML indices")
        );
    }
}
