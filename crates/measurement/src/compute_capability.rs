use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// CUDA compute capability of an NVIDIA board, or the one that kernels were compiled for, such as `9.0` for an H100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ComputeCapability {
    /// Generation of the architecture.
    pub major: u32,
    /// Revision within the generation, from 0 to 9.
    pub minor: u32,
}

/// Error for a text that is not a compute capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACapability;

impl fmt::Display for NotACapability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("is not a compute capability; expected a number like 9.0, or 90 as compilers write it")
    }
}

impl std::error::Error for NotACapability {}

impl ComputeCapability {
    /// Returns whether kernels compiled for this capability run on a board. They run on boards of the same generation
    /// with an equal or later minor number, and on no other generation.
    pub fn runs_on(self, board: Self) -> bool {
        self.major == board.major && self.minor <= board.minor
    }

    /// Returns the number that compilers and file names use: 90 for 9.0.
    pub fn number(self) -> u32 {
        self.major * 10 + self.minor
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// Parses `9.0` and the compilers' forms `90` and `90a`.
impl FromStr for ComputeCapability {
    type Err = NotACapability;

    fn from_str(text: &str) -> Result<Self, NotACapability> {
        let number = |digits: &str| match digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse::<u32>().map_err(|_| NotACapability),
            false => Err(NotACapability),
        };
        if let Some((major, minor)) = text.split_once('.') {
            let (major, minor) = (number(major)?, number(minor)?);
            return if minor < 10 {
                Ok(Self { major, minor })
            } else {
                Err(NotACapability)
            };
        }
        let number = number(text.trim_end_matches(['a', 'f']))?;
        match number {
            10.. => Ok(Self {
                major: number / 10,
                minor: number % 10,
            }),
            _ => Err(NotACapability),
        }
    }
}

impl TryFrom<String> for ComputeCapability {
    type Error = NotACapability;

    fn try_from(text: String) -> Result<Self, NotACapability> {
        text.parse()
    }
}

impl From<ComputeCapability> for String {
    fn from(capability: ComputeCapability) -> Self {
        capability.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> ComputeCapability {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_read_as_people_and_as_compilers_write_it() {
        for (text, shown) in [
            ("9.0", "9.0"),
            ("90", "9.0"),
            ("90a", "9.0"),
            ("121f", "12.1"),
            ("10.3", "10.3"),
        ] {
            assert_eq!(of(text).to_string(), shown, "{text}");
            assert_eq!(of(&of(text).number().to_string()), of(text));
        }
        for text in ["", "9", "a", "sm_90", "9.", ".0", "9.10", "+9.0", "99999"] {
            assert_eq!(text.parse::<ComputeCapability>(), Err(NotACapability), "{text}");
        }
    }

    #[test]
    fn kernels_run_on_their_own_generation_from_their_own_capability_on() {
        for (kernels, board, runs) in [
            ("8.0", "8.0", true),
            ("8.0", "8.9", true),
            ("8.6", "8.0", false),
            ("8.0", "9.0", false),
            ("9.0", "8.9", false),
            ("9.0", "10.0", false),
            ("10.0", "10.3", true),
        ] {
            assert_eq!(of(kernels).runs_on(of(board)), runs, "{kernels} on {board}");
        }
    }
}
