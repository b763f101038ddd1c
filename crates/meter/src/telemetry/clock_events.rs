//! Defines NVML's clock event (throttle) reasons: their bits and names. Knows no device.

/// Bits of `nvmlDeviceGetCurrentClocksThrottleReasons` (`nvml.h`, `nvmlClocksEventReason…`) with their names. They are
/// called throttle reasons before driver 535 and event reasons since.
const NAMES: [(u64, &str); 9] = [
    (0x001, "gpu_idle"),
    (0x002, "applications_clocks_setting"),
    (0x004, "sw_power_cap"),
    (0x008, "hw_slowdown"),
    (0x010, "sync_boost"),
    (0x020, "sw_thermal_slowdown"),
    (0x040, "hw_thermal_slowdown"),
    (0x080, "hw_power_brake_slowdown"),
    (0x100, "display_clock_setting"),
];

/// Reasons that lower clocks for heat or power. The others are settings, or idleness.
const HEAT_OR_POWER: u64 = 0x004 | 0x008 | 0x020 | 0x040 | 0x080;

/// The set of reasons that hold at one moment; empty when the clocks are as high as possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockEvents(u16);

impl ClockEvents {
    /// Creates the set from bits. Bits without a known name are dropped.
    pub fn from_bits(bits: u64) -> Self {
        Self((bits & 0x1ff) as u16)
    }

    /// Returns whether no reason holds.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns only the reasons that lower clocks for heat or power.
    pub fn slowing_down(self) -> Self {
        Self(self.0 & HEAT_OR_POWER as u16)
    }

    /// Returns the reasons in either set.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the names of the reasons.
    pub fn names(self) -> Vec<&'static str> {
        let holding = NAMES.iter().filter(|(bit, _)| u64::from(self.0) & bit != 0);
        holding.map(|(_, name)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idleness_and_settings_are_named_but_slow_nothing_down() {
        let events = ClockEvents::from_bits(0x1 | 0x2 | 0x10 | 0x100);
        assert_eq!(events.names().len(), 4);
        assert!(events.slowing_down().is_empty());
    }

    #[test]
    fn heat_and_power_slow_down_and_unknown_bits_are_dropped() {
        let events = ClockEvents::from_bits(0x4 | 0x40 | 0x8000);
        assert_eq!(events.names(), ["sw_power_cap", "hw_thermal_slowdown"]);
        assert_eq!(events.slowing_down(), events);
    }
}
