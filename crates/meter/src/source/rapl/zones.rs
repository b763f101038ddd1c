//! Finds the zones of a powercap tree and what each covers. Reads names and limits, never energy.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::counts::{read_u64, retried};
use joulemark_measurement::EnergyDomain;

/// One zone of the tree.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Text of the `name` file: `package-0`, `package-0-die-1`, `dram`, …
    pub name: String,
    /// The zone's folder name: `intel-rapl:0:1`.
    pub path: String,
    /// Folder of the zone.
    pub folder: PathBuf,
    /// Name of the parent zone and of the zone. Equal for two views (`intel-rapl-mmio`) of one zone.
    pub covers: String,
}

impl Zone {
    /// Returns whether the zone is the view through MMIO.
    pub fn is_mmio(&self) -> bool {
        is_mmio(&self.path)
    }

    /// Returns the number of the package that the zone is or lies in.
    pub fn package(&self) -> Option<u32> {
        let name = self.covers.split('/').find_map(|name| name.strip_prefix("package-"))?;
        name.split('-').next()?.parse().ok()
    }

    /// Returns the domain of the zone's energy; `None` for a name that is not known to measure energy.
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

    /// Returns the largest power in µW that a constraint of the zone allows.
    pub fn max_power_uw(&self) -> Option<u64> {
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
    }
}

/// The zones found under a root.
#[derive(Debug)]
pub struct Found {
    /// Zones with a name.
    pub zones: Vec<Zone>,
    /// Zones that are listed but empty.
    pub masked: Vec<PathBuf>,
}

/// Returns whether a folder's name is that of a view through MMIO.
pub fn is_mmio(path: &str) -> bool {
    path.starts_with("intel-rapl-mmio")
}

/// Returns every zone under `root`, each folder once. The class folder lists sub-zones flat, the device tree nests
/// them.
///
/// # Errors
/// Returns the operating system's error when `root` cannot be read.
pub fn find(root: &Path) -> io::Result<Found> {
    let (mut found, mut masked) = (BTreeMap::new(), Vec::new());
    collect(root, &mut found, &mut masked)?;
    let names: BTreeMap<String, String> = found
        .iter()
        .map(|(path, zone)| (path.clone(), zone.name.clone()))
        .collect();
    let mut zones: Vec<Zone> = found.into_values().collect();
    for zone in &mut zones {
        let parent = zone.path.rsplit_once(':').and_then(|(parent, _)| names.get(parent));
        zone.covers = format!("{}/{}", parent.map_or("", String::as_str), zone.name);
    }
    Ok(Found { zones, masked })
}

/// Returns whether a folder is empty. A dangling link counts as empty; the kernel's own folders never are.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// Reads the zone's name.
fn name_of(zone: &Path) -> io::Result<String> {
    retried(|| {
        let text = fs::read_to_string(zone.join("name"))?;
        let name = text.trim();
        if name.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the name is empty"));
        }
        Ok(name.to_owned())
    })
}

/// Adds the zones in a folder and its sub-folders.
fn collect(folder: &Path, found: &mut BTreeMap<String, Zone>, masked: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.file_name().to_string_lossy().into_owned();
        // Only these names: `device` and `subsystem` are links back up the tree.
        if !path.starts_with("intel-rapl") || found.contains_key(&path) {
            continue;
        }
        match name_of(&entry.path()) {
            Ok(name) => {
                let zone = Zone {
                    name,
                    path: path.clone(),
                    folder: entry.path(),
                    covers: String::new(),
                };
                found.insert(path, zone);
            }
            // A control type, which has no name, or a zone that is masked.
            Err(_) if path.contains(':') || is_empty(&entry.path()) => masked.push(entry.path()),
            Err(_) => {}
        }
        if entry.path().is_dir() {
            // A sub-folder that cannot be read hides only its own zones.
            collect(&entry.path(), found, masked).ok();
        }
    }
    Ok(())
}
