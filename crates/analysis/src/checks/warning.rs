use joulemark_experiment::{Warning, WarningCode};

/// Builds the warning that a check returns.
pub(super) fn warning(code: WarningCode, message: impl Into<String>) -> Warning {
    Warning {
        code,
        message: message.into(),
    }
}
