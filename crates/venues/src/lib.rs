//! Adapters to exchanges: requests, signatures, replies, limits.

pub mod api;
mod binance;
mod bybit;
pub mod client;
mod coinbase;
mod guard;
pub mod http;
mod kraken;
mod kucoin;
mod okx;
mod sign;
pub mod venue;
pub mod wire;
