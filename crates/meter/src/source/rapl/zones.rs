//! Finding zones in a powercap tree and telling what each covers. Reads names and limits, never energy.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::counts::{patiently, read_u64};
use joulemark_measurement::EnergyDomain;

#[derive(Clone, Debug)]
pub struct Zone {
    /// Text of the `name` file: `package-0`, `package-0-die-1`, `dram`, …
    pub name: String,
    /// The zone's folder name: `intel-rapl:0:1`.
    pub path: String,
    pub folder: PathBuf,
    /// Its name behind the one of the zone it lies in: equal for two views (`intel-rapl-mmio`) of one zone.
    pub covers: String,
}

impl Zone {
    pub fn is_mmio(&self) -> bool {
        self.path.starts_with("intel-rapl-mmio")
    }

    pub fn domain(&self) -> Option<EnergyDomain> {
        match self.name.as_str() {
            "dram" => Some(EnergyDomain::Dram),
            "core" => Some(EnergyDomain::Core),
            "uncore" => Some(EnergyDomain::Uncore),
            "psys" => Some(EnergyDomain::Psys),
            name if name.starts_with("package-") => Some(EnergyDomain::Package),
            _ => None,
        }
    }

    /// The largest power any of the zone's constraints allows, in microwatts.
    pub fn highest_power_uw(&self) -> Option<u64> {
        let entries = fs::read_dir(&self.folder).ok()?;
        entries
            .flatten()
            .filter(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("constraint_") && name.ends_with("_max_power_uw")
            })
            .filter_map(|entry| read_u64(&entry.path()).ok())
            .filter(|uw| *uw > 0)
            .max()
            // Peaks above the limit last for milliseconds; twice the limit covers them.
            .map(|uw| uw * 2)
    }
}

/// Every zone under `root`, each folder once: the class folder lists sub-zones flat, the device tree nests them.
pub fn find(root: &Path) -> io::Result<Vec<Zone>> {
    let mut found = BTreeMap::new();
    collect(root, &mut found)?;
    let names: BTreeMap<String, String> = found
        .iter()
        .map(|(path, zone)| (path.clone(), zone.name.clone()))
        .collect();
    let mut zones: Vec<Zone> = found.into_values().collect();
    for zone in &mut zones {
        let parent = zone.path.rsplit_once(':').and_then(|(parent, _)| names.get(parent));
        zone.covers = format!("{}/{}", parent.map_or("", String::as_str), zone.name);
    }
    Ok(zones)
}

fn name_of(zone: &Path) -> io::Result<String> {
    patiently(|| {
        let text = fs::read_to_string(zone.join("name"))?;
        let name = text.trim();
        if name.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the name is empty"));
        }
        Ok(name.to_owned())
    })
}

fn collect(folder: &Path, found: &mut BTreeMap<String, Zone>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.file_name().to_string_lossy().into_owned();
        // Only these names: `device` and `subsystem` are links that lead back up and round in circles.
        if !path.starts_with("intel-rapl") || found.contains_key(&path) {
            continue;
        }
        if let Ok(name) = name_of(&entry.path()) {
            found.insert(
                path.clone(),
                Zone {
                    name,
                    path,
                    folder: entry.path(),
                    covers: String::new(),
                },
            );
        }
        if entry.path().is_dir() {
            // An unreadable sub-folder hides its own zones only.
            collect(&entry.path(), found).ok();
        }
    }
    Ok(())
}
