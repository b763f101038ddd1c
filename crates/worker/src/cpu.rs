use std::io::Write;

/// Checks that the CPU has the instructions that this build needs. If not, prints the missing features to standard
/// error and returns `false`, instead of crashing with an illegal instruction during an experiment.
///
/// The code is deliberately plain, since it runs before it is known which instructions exist: iterators, strings and
/// `format!` compile to vector moves (observed on an emulated CPU of 2008), writing a constant does not.
pub fn is_good_enough() -> bool {
    let features = read();
    if !cfg!(target_feature = "avx2") || NEEDED.iter().all(|needed| needed.is_in(&features)) {
        return true;
    }
    // Nothing can be done about a closed standard error.
    let say = |text: &str| drop(std::io::stderr().write_all(text.as_bytes()));
    say("joulemark: this build needs a CPU of level x86-64-v3 (2013 or later); this one lacks");
    for needed in &NEEDED {
        if !needed.is_in(&features) {
            say(" ");
            say(needed.name);
        }
    }
    say(
        ". Remove the target-cpu line from .cargo/config.toml and build again; inference then runs at half the speed.\n",
    );
    false
}

/// The feature words of CPUID leaf 1 (ECX) and leaf 7 (EBX).
struct Features {
    leaf1_ecx: u32,
    leaf7_ebx: u32,
}

/// Reads the features with CPUID, because `is_x86_feature_detected!` is always true for features that the build
/// assumes.
#[cfg(target_arch = "x86_64")]
fn read() -> Features {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let highest_leaf = __cpuid(0).eax;
    let leaf7_ebx = if highest_leaf >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    Features {
        leaf1_ecx: __cpuid(1).ecx,
        leaf7_ebx,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn read() -> Features {
    Features {
        leaf1_ecx: u32::MAX,
        leaf7_ebx: u32::MAX,
    }
}

/// A feature and its bit (Intel SDM volume 2, CPUID).
struct Needed {
    name: &'static str,
    in_leaf7: bool,
    bit: u32,
}

impl Needed {
    /// Returns whether the CPU has the feature.
    fn is_in(&self, features: &Features) -> bool {
        let word = if self.in_leaf7 {
            features.leaf7_ebx
        } else {
            features.leaf1_ecx
        };
        word & (1 << self.bit) != 0
    }
}

/// Features of x86-64-v3 that inference kernels use.
static NEEDED: [Needed; 7] = [
    Needed {
        name: "fma",
        in_leaf7: false,
        bit: 12,
    },
    Needed {
        name: "movbe",
        in_leaf7: false,
        bit: 22,
    },
    Needed {
        name: "avx",
        in_leaf7: false,
        bit: 28,
    },
    Needed {
        name: "f16c",
        in_leaf7: false,
        bit: 29,
    },
    Needed {
        name: "bmi1",
        in_leaf7: true,
        bit: 3,
    },
    Needed {
        name: "avx2",
        in_leaf7: true,
        bit: 5,
    },
    Needed {
        name: "bmi2",
        in_leaf7: true,
        bit: 8,
    },
];

/// Returns the CPU features that this build was compiled for, as far as they decide which kernels run.
pub fn compiled_features() -> Vec<String> {
    let known = [
        ("sse4.2", cfg!(target_feature = "sse4.2")),
        ("avx", cfg!(target_feature = "avx")),
        ("avx2", cfg!(target_feature = "avx2")),
        ("fma", cfg!(target_feature = "fma")),
        ("f16c", cfg!(target_feature = "f16c")),
        ("bmi2", cfg!(target_feature = "bmi2")),
        ("avx512f", cfg!(target_feature = "avx512f")),
        ("neon", cfg!(target_feature = "neon")),
    ];
    known
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_features_of_a_cpu_are_named() {
        // Ivy Bridge has AVX and F16C, but neither AVX2, FMA nor the bit manipulation sets.
        let old = Features {
            leaf1_ecx: 1 << 28 | 1 << 29,
            leaf7_ebx: 0,
        };
        let missing = NEEDED
            .iter()
            .filter(|needed| !needed.is_in(&old))
            .map(|needed| needed.name);
        assert_eq!(missing.collect::<Vec<_>>(), ["fma", "movbe", "bmi1", "avx2", "bmi2"]);
    }

    #[test]
    fn the_cpu_that_runs_this_test_supports_the_build() {
        assert!(is_good_enough());
    }
}
