//! Live and paper trading on real venues: market data, orders that are sent once, caps.
