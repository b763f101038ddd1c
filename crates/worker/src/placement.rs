//! Rejects a model that is not entirely on the GPUs that were asked for.

use joulemark_experiment::Device;
use joulemark_measurement::DeviceLayers;

use crate::inference::EngineError;

/// Checks the devices of the layers of a model that is to run on GPUs. Engines silently put layers on the CPU that do
/// not fit on a GPU, and such a measurement describes neither device.
///
/// # Errors
/// Returns [`EngineError::Load`] with the number of layers on the CPU.
pub fn on_gpus_alone(device: Device, layers: &[DeviceLayers]) -> Result<(), EngineError> {
    let count = |of: &dyn Fn(&DeviceLayers) -> bool| -> u32 {
        let counted = layers.iter().filter(|part| of(part));
        counted.map(|part| part.layers).sum()
    };
    let on_cpu = count(&|part| part.device == "cpu");
    if device != Device::Cuda || on_cpu == 0 {
        return Ok(());
    }
    Err(EngineError::Load(format!(
        "device is cuda, but the engine put {on_cpu} of {all} layers on the CPU, since they do not fit on the GPU; free the \
         GPU's memory, lease more GPUs (gpus), or use a smaller batch_size, fewer tokens or another fp_precision",
        all = count(&|_| true)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(of: &[(&str, u32)]) -> Vec<DeviceLayers> {
        let part = |(device, layers): &(&str, u32)| DeviceLayers {
            device: (*device).to_owned(),
            ordinal: 0,
            gpu: None,
            layers: *layers,
        };
        of.iter().map(part).collect()
    }

    #[test]
    fn a_layer_on_the_cpu_is_an_error_only_for_cuda() {
        let mixed = layers(&[("cuda", 28), ("cpu", 4)]);
        let error = on_gpus_alone(Device::Cuda, &mixed).unwrap_err().to_string();
        assert!(error.contains("put 4 of 32 layers on the CPU"), "{error}");
        assert!(on_gpus_alone(Device::Cpu, &layers(&[("cpu", 32)])).is_ok());
        assert!(on_gpus_alone(Device::Cuda, &layers(&[("cuda", 16), ("cuda", 16)])).is_ok());
        assert!(on_gpus_alone(Device::Cuda, &[]).is_ok());
    }
}
