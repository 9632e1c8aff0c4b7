//! A simulated exchange on the wire, with its own books and faults on request.
//!
//! One [`simex::Simex`] serves Binance spot, OKX v5, CoinGecko and the Telegram Bot API on loopback.
//! It shares no code with the adapters: it is a second reading of the venues' documents. The
//! [`exchange`] is a plain value that is told the time; the dialects translate; [`faults`] spoil what
//! goes over the wire; [`oracle`] says afterwards what really happened.

pub mod binance;
pub mod book;
pub mod candles;
pub mod clock;
pub mod coingecko;
pub mod config;
pub mod control;
pub mod exchange;
pub mod faults;
pub mod journal;
pub mod ledger;
pub mod limits;
pub mod okx;
pub mod oracle;
pub mod orders;
pub mod practice;
pub mod prices;
pub mod rules;
pub mod scenario;
pub mod server;
pub mod simex;
pub mod telegram;
pub mod wire;
pub mod world;

pub use config::SimexConfig;
pub use simex::Simex;
