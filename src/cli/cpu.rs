/// What x86-64-v3 adds that the inference kernels are compiled to use.
const NEEDED: [&str; 7] = ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"];

/// Refuses a CPU that this build would crash on with an illegal instruction in the middle of an experiment.
///
/// # Errors
/// A message that names the missing features. What the kernel does not say is not held against the CPU.
pub fn check() -> Result<(), String> {
    if !cfg!(target_feature = "avx2") {
        return Ok(());
    }
    // Not `is_x86_feature_detected!`, which is constant true for what the build already assumes.
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let missing = missing(&cpuinfo);
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "this build needs a CPU of level x86-64-v3 (2013 or later); this one lacks {}. \
         Remove the target-cpu line from .cargo/config.toml and build again; inference will run at about half the speed",
        missing.join(", ")
    ))
}

fn missing(cpuinfo: &str) -> Vec<&'static str> {
    let Some(flags) = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")) else {
        return Vec::new();
    };
    let flags = flags.split_whitespace().collect::<Vec<_>>();
    NEEDED.into_iter().filter(|needed| !flags.contains(needed)).collect()
}

/// CPU features that this build was compiled for, of those that decide which kernels run.
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
    fn a_cpu_without_avx2_is_refused_by_name() {
        let old = "processor\t: 0\nflags\t\t: fpu sse4_2 avx f16c\n";
        assert_eq!(missing(old), ["avx2", "bmi1", "bmi2", "fma", "movbe"]);
        let new = "flags\t\t: avx avx2 bmi1 bmi2 f16c fma movbe\n";
        assert_eq!(missing(new), Vec::<&str>::new());
        assert_eq!(missing("no such line"), Vec::<&str>::new());
    }
}
