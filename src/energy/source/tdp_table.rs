//! Nameplate facts of common CPUs, from the makers' product pages: data, not judgement.

pub struct Nameplate {
    /// As it stands in the kernel's `model name`, up to a word's end.
    pub model: &'static str,
    /// Thermal design power of one socket in watts; AMD's default TDP, Intel's processor base power.
    pub watts: f64,
    /// Logical CPUs of one socket.
    pub threads: u32,
}

const fn cpu(model: &'static str, watts: f64, threads: u32) -> Nameplate {
    Nameplate { model, watts, threads }
}

pub const NAMEPLATES: &[Nameplate] = &[
    cpu("EPYC 7302", 155.0, 32),
    cpu("EPYC 7402", 180.0, 48),
    cpu("EPYC 7502", 180.0, 64),
    cpu("EPYC 7543", 225.0, 64),
    cpu("EPYC 7551", 180.0, 64),
    cpu("EPYC 7601", 180.0, 64),
    cpu("EPYC 7702", 200.0, 128),
    cpu("EPYC 7713", 225.0, 128),
    cpu("EPYC 7742", 225.0, 128),
    cpu("EPYC 7763", 280.0, 128),
    cpu("EPYC 7H12", 280.0, 128),
    cpu("EPYC 9354", 280.0, 64),
    cpu("EPYC 9554", 360.0, 128),
    cpu("EPYC 9654", 360.0, 192),
    cpu("Platinum 8180", 205.0, 56),
    cpu("Platinum 8280", 205.0, 56),
    cpu("Platinum 8358", 250.0, 64),
    cpu("Platinum 8360Y", 250.0, 72),
    cpu("Platinum 8380", 270.0, 80),
    cpu("Platinum 8480+", 350.0, 112),
    cpu("Gold 6130", 125.0, 32),
    cpu("Gold 6148", 150.0, 40),
    cpu("Gold 6230", 125.0, 40),
    cpu("Gold 6248", 150.0, 40),
    cpu("Gold 6248R", 205.0, 48),
    cpu("Gold 6330", 205.0, 56),
    cpu("Gold 6338", 205.0, 64),
    cpu("Silver 4210", 85.0, 20),
    cpu("Silver 4314", 135.0, 32),
    cpu("E5-2680 v4", 120.0, 28),
    cpu("E5-2690 v4", 135.0, 28),
    cpu("E5-2699 v4", 145.0, 44),
    cpu("i7-6700K", 91.0, 8),
    cpu("i7-8700K", 95.0, 12),
    cpu("i9-9900K", 95.0, 16),
    cpu("i7-12700K", 125.0, 20),
    cpu("i9-12900K", 125.0, 24),
    cpu("i9-13900K", 125.0, 32),
    cpu("i9-14900K", 125.0, 32),
    cpu("Ryzen 7 3700X", 65.0, 16),
    cpu("Ryzen 7 5800X", 105.0, 16),
    cpu("Ryzen 7 7700X", 105.0, 16),
    cpu("Ryzen 9 3900X", 105.0, 24),
    cpu("Ryzen 9 3950X", 105.0, 32),
    cpu("Ryzen 9 5900X", 105.0, 24),
    cpu("Ryzen 9 5950X", 105.0, 32),
    cpu("Ryzen 9 7900X", 170.0, 24),
    cpu("Ryzen 9 7950X", 170.0, 32),
    cpu("Ryzen 9 9950X", 170.0, 32),
    cpu("Threadripper 3970X", 280.0, 64),
    cpu("Threadripper 3990X", 280.0, 128),
];

/// The nameplate of `model`, where a name ends with its word: a 6248 is not a 6248R, nor a 13900K a 13900KS.
pub fn find(model: &str) -> Option<&'static Nameplate> {
    NAMEPLATES.iter().find(|plate| {
        model.match_indices(plate.model).any(|(start, found)| {
            let rest = &model[start + found.len()..];
            !rest.starts_with(|next: char| next.is_alphanumeric())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_inside_the_kernel_s_name_for_it() {
        assert_eq!(
            find("AMD EPYC 7763 64-Core Processor").map(|plate| plate.watts),
            Some(280.0)
        );
        assert_eq!(
            find("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz").map(|plate| plate.watts),
            Some(205.0)
        );
        assert_eq!(
            find("13th Gen Intel(R) Core(TM) i9-13900KS").map(|plate| plate.watts),
            None
        );
        assert!(find("AMD EPYC").is_none());
    }
}
