use crate::{Estimator, FlopsMethod, Parameters, size_from_name};

/// Returns the estimator of a model without files, by the number of parameters in its name.
///
/// ```
/// use joulemark_flops::Estimator;
/// use joulemark_flops::model_files::estimator_by_name;
///
/// assert!(matches!(estimator_by_name("Llama-2-7b"), Estimator::Parameters(_)));
/// assert!(matches!(estimator_by_name("my-model"), Estimator::Unknown { .. }));
/// ```
pub fn estimator_by_name(name: &str) -> Estimator {
    estimate_by_size_or_name(None, name, "its files are not available")
}

/// Returns an estimator where neither operators nor elements can be counted: by the size of the files, else by the
/// name.
pub(super) fn estimate_by_size_or_name(by_size: Option<u64>, name: &str, reason: &str) -> Estimator {
    let estimate = |total, active, basis: &str| {
        Estimator::Parameters(Parameters {
            total,
            active,
            method: FlopsMethod::ParameterEstimate,
            basis: format!("{basis}, because {reason}"),
        })
    };
    match (by_size.filter(|count| *count > 0), size_from_name(name)) {
        (Some(count), named) => {
            let active = named.and_then(|named| named.active).filter(|active| *active < count);
            estimate(Some(count), active, "the files' size and the weights' type")
        }
        (None, Some(named)) => estimate(named.total, named.active, "the model's name"),
        (None, None) => Estimator::Unknown {
            reason: format!("{reason}, and neither tensors nor sizes nor the name give the number of parameters"),
        },
    }
}
