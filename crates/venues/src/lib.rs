//! Adapters to exchanges: requests, signatures, replies, limits.

pub mod api;
mod binance;
mod bybit;
pub mod client;
pub mod http;
pub mod kraken;
pub mod venue;
pub mod wire;
