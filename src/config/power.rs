//! Options on power limits and clocks.

use joulemark_power_control::PowerControl;

use super::option::section;

section! {
    /// Options on power limits and clocks.
    pub struct Power with PowerFlags {
        /// Program that sets the power limits and clocks which experiments request: `nvml` or `zeusd:SOCKET` [default:
        /// none].
        ///
        /// Setting them needs root. `zeusd:/run/zeusd/zeusd.sock` asks the daemon zeusd 0.5, which has it; `nvml` sets
        /// them directly, if the service has it. Without this option such experiments are rejected.
        power_control: String = "";
    }
}

impl Power {
    /// Returns the problem of the option, if any. The message names the option and what is accepted.
    pub(super) fn problems(&self) -> Option<String> {
        self.read().err().map(|problem| format!("power_control {problem}"))
    }

    fn read(&self) -> Result<Option<PowerControl>, String> {
        match self.power_control.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some),
        }
    }

    /// Returns the power control; `None` when none is configured.
    pub fn control(&self) -> Option<PowerControl> {
        self.read().unwrap_or_default()
    }
}
