use super::keys::Config;
use crate::family::SlidingLayers;
use crate::shape::{ShapeError, Sliding};

const WINDOW: &str = "sliding_window";
/// Default in Qwen's configuration classes.
const MAX_WINDOW_LAYERS: u64 = 28;
/// In SmolLM3 every fourth layer has no rotary embedding.
const NO_ROTARY_INTERVAL: u64 = 4;

impl Config<'_> {
    /// Returns the layers with a sliding window; `None` where there are none.
    pub(super) fn sliding(&self, pattern: SlidingLayers, layers: u64) -> Result<Option<Sliding>, ShapeError> {
        let default = match pattern {
            SlidingLayers::None => return Ok(None),
            SlidingLayers::All(window) => window,
            SlidingLayers::FromMaxWindowLayers(window)
            | SlidingLayers::BySwitch(window)
            | SlidingLayers::EveryOtherBeforeMaxWindowLayers(window)
            | SlidingLayers::EveryOther(window) => Some(window),
            SlidingLayers::AllButEvery { window, .. } => Some(window),
            SlidingLayers::WithoutRotary => None,
        };
        let by_switch = matches!(
            pattern,
            SlidingLayers::FromMaxWindowLayers(_)
                | SlidingLayers::BySwitch(_)
                | SlidingLayers::EveryOtherBeforeMaxWindowLayers(_)
                | SlidingLayers::WithoutRotary
        );
        if by_switch && !self.flag("use_sliding_window")?.unwrap_or(false) {
            return Ok(None);
        }
        // An explicit null disables the window, whatever the family's default.
        let default = default.filter(|_| !self.keys.contains_key(WINDOW));
        let Some(window) = self.count_or_null(&[WINDOW])?.or(default) else {
            return Ok(None);
        };
        let sliding = match self.windowed_layers(layers)? {
            Some(listed) => listed,
            None => self.by_pattern(pattern, layers)?,
        };
        Ok((sliding > 0).then_some(Sliding {
            window,
            layers: sliding,
        }))
    }

    /// Returns the number of layers with a window by the family's pattern.
    fn by_pattern(&self, pattern: SlidingLayers, layers: u64) -> Result<u64, ShapeError> {
        Ok(match pattern {
            SlidingLayers::None => 0,
            SlidingLayers::All(_) | SlidingLayers::BySwitch(_) => layers,
            SlidingLayers::FromMaxWindowLayers(_) => layers.saturating_sub(self.max_window_layers()?),
            SlidingLayers::EveryOtherBeforeMaxWindowLayers(_) => self.max_window_layers()?.min(layers).div_ceil(2),
            SlidingLayers::EveryOther(_) => layers.div_ceil(2),
            SlidingLayers::AllButEvery { nth, .. } => layers - layers / self.interval("sliding_window_pattern", nth)?,
            SlidingLayers::WithoutRotary => match self.layer_flags("no_rope_layers", layers)? {
                Some(rotary) => rotary.iter().filter(|rotary| !**rotary).count() as u64,
                None => layers / self.interval("no_rope_layer_interval", NO_ROTARY_INTERVAL)?,
            },
        })
    }

    /// Reads `max_window_layers`.
    fn max_window_layers(&self) -> Result<u64, ShapeError> {
        Ok(self.count(&["max_window_layers"])?.unwrap_or(MAX_WINDOW_LAYERS))
    }
}
