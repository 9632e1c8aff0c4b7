//! A plain HTTP client with both venues' signatures, written from their documents.

use hmac::{Hmac, KeyInit, Mac};
use keel_simex::Simex;
use keel_simex::clock::{ClockMode, wall_ms};
use keel_simex::config::{PriceSource, SimexConfig};
use keel_simex::prices::Place;
use keel_simex::server::Double;
use serde_json::Value;
use sha2::Sha256;

/// A world that stands still: prices as configured, the clock at the machine's time.
pub(crate) fn still() -> SimexConfig {
    SimexConfig { prices: PriceSource::Flat, ..SimexConfig::default() }
}

/// The same with a clock that only moves when it is told to.
pub(crate) fn frozen() -> SimexConfig {
    SimexConfig { clock: ClockMode::Manual { now_ms: wall_ms() }, ..still() }
}

pub(crate) fn mac(secret: &str, payload: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

/// Status and JSON body of a reply.
pub(crate) async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let reply = request.send().await.unwrap();
    let status = reply.status().as_u16();
    let text = reply.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A signed Binance request with these parameters, at the exchange's time.
pub(crate) fn binance(
    simex: &Simex,
    method: &str,
    path: &str,
    query: &str,
) -> reqwest::RequestBuilder {
    let key = simex.config().venues[&Place::Binance].keys[0].clone();
    let joint = if query.is_empty() { "" } else { "&" };
    let payload = format!("{query}{joint}timestamp={}", simex.now_ms());
    let hex: String = mac(&key.secret, &payload).iter().map(|byte| format!("{byte:02x}")).collect();
    let url = format!("{}{path}?{payload}&signature={hex}", simex.url(Double::Binance));
    http().request(method.parse().unwrap(), url).header("X-MBX-APIKEY", key.key)
}

pub(crate) fn public(simex: &Simex, double: Double, path: &str) -> reqwest::RequestBuilder {
    http().get(format!("{}{path}", simex.url(double)))
}

/// A moment as OKX writes it in headers.
fn iso(ms: i64) -> String {
    let timestamp = keel_core::time::Timestamp::from_ms(ms - ms.rem_euclid(1000)).to_string();
    let whole = timestamp.trim_end_matches('Z').to_owned();
    let whole = if whole.len() == 16 { format!("{whole}:00") } else { whole };
    format!("{whole}.{:03}Z", ms.rem_euclid(1000))
}

/// A signed OKX request at the exchange's time.
pub(crate) fn okx(simex: &Simex, method: &str, path: &str, body: &str) -> reqwest::RequestBuilder {
    use base64::Engine;
    let key = simex.config().venues[&Place::Okx].keys[0].clone();
    let stamp = iso(simex.now_ms());
    let signed = mac(&key.secret, &format!("{stamp}{method}{path}{body}"));
    http()
        .request(method.parse().unwrap(), format!("{}{path}", simex.url(Double::Okx)))
        .header("OK-ACCESS-KEY", key.key)
        .header("OK-ACCESS-SIGN", base64::engine::general_purpose::STANDARD.encode(signed))
        .header("OK-ACCESS-TIMESTAMP", stamp)
        .header("OK-ACCESS-PASSPHRASE", key.passphrase)
        .header("Content-Type", "application/json")
        .body(body.to_owned())
}
