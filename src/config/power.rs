use joulemark_power_control::PowerControl;

use super::option::section;

section! {
    /// Who sets power limits and clocks.
    pub struct Power with PowerFlags {
        /// Who sets the power limits and clocks that experiments ask for: `nvml` or `zeusd:SOCKET` [default: nobody].
        ///
        /// Setting needs root, which the service has not: `zeusd:/run/zeusd/zeusd.sock` asks the daemon zeusd 0.5, which
        /// has it; `nvml` sets directly, for a server that may. Without it such experiments are refused.
        power_control: String = "";
    }
}

impl Power {
    /// What the types cannot say. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Option<String> {
        self.read().err().map(|problem| format!("power_control {problem}"))
    }

    fn read(&self) -> Result<Option<PowerControl>, String> {
        match self.power_control.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some),
        }
    }

    /// Returns who sets; `None` for nobody.
    pub fn control(&self) -> Option<PowerControl> {
        self.read().unwrap_or_default()
    }
}
