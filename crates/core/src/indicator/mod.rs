//! Indicators: pure functions from columns of prices to a column of the same length.
//!
//! All of them equal pandas to 1e-9 relative; [`ewm`] equals it bit for bit.

mod average_true_range;
mod cross;
mod ewm;
mod keltner;
mod true_range;
mod typical_price;

pub use average_true_range::average_true_range;
pub use cross::{crossed_above, crossed_below};
pub use ewm::{Decay, ewm};
pub use keltner::{KeltnerChannel, KeltnerParams, keltner_channel};
pub use true_range::true_range;
pub use typical_price::typical_price;
