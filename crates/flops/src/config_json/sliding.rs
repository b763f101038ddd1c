use serde_json::Value;

use super::keys::Config;
use crate::family::SlidingLayers;
use crate::shape::{ShapeError, Sliding};

const WINDOW: &str = "sliding_window";
/// Qwen's configuration classes say 28 where the key is absent.
const MAX_WINDOW_LAYERS: u64 = 28;
/// SmolLM3: every fourth layer is without rotary embedding.
const NO_ROTARY_INTERVAL: u64 = 4;

impl Config<'_> {
    /// The layers that look back no further than a window; `None` where none does.
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
        // An explicit null turns the window off, whatever the family's default.
        let default = default.filter(|_| !self.keys.contains_key(WINDOW));
        let Some(window) = self.count(&[WINDOW])?.or(default) else {
            return Ok(None);
        };
        let sliding = match self.listed()? {
            Some(listed) => listed.min(layers),
            None => self.by_pattern(pattern, layers)?,
        };
        Ok((sliding > 0).then_some(Sliding {
            window,
            layers: sliding,
        }))
    }

    fn by_pattern(&self, pattern: SlidingLayers, layers: u64) -> Result<u64, ShapeError> {
        Ok(match pattern {
            SlidingLayers::None => 0,
            SlidingLayers::All(_) | SlidingLayers::BySwitch(_) => layers,
            SlidingLayers::FromMaxWindowLayers(_) => layers.saturating_sub(self.max_window_layers()?),
            SlidingLayers::EveryOtherBeforeMaxWindowLayers(_) => self.max_window_layers()?.min(layers).div_ceil(2),
            SlidingLayers::EveryOther(_) => layers.div_ceil(2),
            SlidingLayers::AllButEvery { nth, .. } => {
                let nth = self.count(&["sliding_window_pattern"])?.unwrap_or(nth).max(1);
                layers - layers / nth
            }
            SlidingLayers::WithoutRotary => {
                let interval = self.count(&["no_rope_layer_interval"])?.unwrap_or(NO_ROTARY_INTERVAL);
                layers / interval.max(1)
            }
        })
    }

    fn max_window_layers(&self) -> Result<u64, ShapeError> {
        Ok(self.count(&["max_window_layers"])?.unwrap_or(MAX_WINDOW_LAYERS))
    }

    fn listed(&self) -> Result<Option<u64>, ShapeError> {
        match self.keys.get("layer_types") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(types)) => {
                let slides = |kind: &&Value| kind.as_str() == Some("sliding_attention");
                Ok(Some(types.iter().filter(slides).count() as u64))
            }
            Some(other) => Err(ShapeError::bad("layer_types", other, "a list of layer types")),
        }
    }
}
