//! The whole portfolio over history: backtests, sweeps, statistics.
