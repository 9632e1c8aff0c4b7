//! Adapters to exchanges: requests, signatures, replies, limits.

pub mod api;
pub mod coinbase;
pub mod http;
pub mod kraken;
pub mod venue;
pub mod wire;
