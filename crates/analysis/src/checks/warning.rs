use joulemark_experiment::{Warning, WarningCode};

/// Creates a warning.
pub(super) fn warning(code: WarningCode, message: impl Into<String>) -> Warning {
    Warning {
        code,
        message: message.into(),
    }
}
