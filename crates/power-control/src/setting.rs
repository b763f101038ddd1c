use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use joulemark_measurement::quoted;

/// The way to set limits and clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PowerControl {
    /// This process calls NVML; it needs the permission of the driver.
    Nvml,
    /// The daemon `zeusd`, at this socket.
    Zeusd(PathBuf),
}

/// Prefix of a socket's path.
const ZEUSD: &str = "zeusd:";

impl FromStr for PowerControl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix(ZEUSD)) {
            ("nvml", _) => Ok(Self::Nvml),
            (_, Some(path)) if path.starts_with('/') => Ok(Self::Zeusd(PathBuf::from(path))),
            _ => Err(format!(
                "is {}; accepted are nvml, and zeusd: with the absolute path of its socket, as zeusd:/run/zeusd/zeusd.sock",
                quoted(text)
            )),
        }
    }
}

impl fmt::Display for PowerControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nvml => f.write_str("nvml"),
            Self::Zeusd(path) => write!(f, "{ZEUSD}{}", path.display()),
        }
    }
}

/// The values to set; `None` leaves a value as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Setting {
    /// Power limit in watts.
    pub power_limit_w: Option<f64>,
    /// Clock of the streaming multiprocessors, in MHz.
    pub gpu_clock_mhz: Option<u32>,
    /// Clock of the memory, in MHz.
    pub memory_clock_mhz: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_to_set_reads_back_and_other_texts_are_rejected() {
        for text in ["nvml", "zeusd:/run/zeusd/zeusd.sock"] {
            assert_eq!(text.parse::<PowerControl>().expect("it is known").to_string(), text);
        }
        for text in [
            "",
            "NVML",
            "zeusd",
            "zeusd:",
            "zeusd:run/zeusd.sock",
            "/run/zeusd/zeusd.sock",
        ] {
            let refused = text.parse::<PowerControl>().expect_err(text);
            assert!(refused.contains("accepted are nvml"), "{refused}");
        }
    }
}
