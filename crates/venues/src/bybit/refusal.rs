//! Which replies of Bybit are answers, which are refusals, and which tell nothing.

use crate::api::{Answer, Refusal};
use crate::http::Reply;
use crate::wire;
use serde_json::Value;
use std::time::Duration;

/// Bybit asks clients that it refused by address to be silent for ten minutes.
const ADDRESS_PAUSE: Duration = Duration::from_secs(600);

/// What a reply says that says yes.
pub(super) fn accepted(reply: &Reply) -> Answer<Value> {
    if reply.status == 403 && !reply.body.contains("retCode") {
        let refusal = Refusal::RateLimited { wait: Some(ADDRESS_PAUSE) };
        return Err(wire::refused(
            refusal,
            "HTTP 403",
            "the address sends too often, or comes from a country that Bybit refuses",
        ));
    }
    if reply.status >= 500 || (300..400).contains(&reply.status) {
        return Err(wire::unknown(format!("HTTP status {}", reply.status)));
    }
    let body = wire::parse_json(reply)?;
    let code = wire::field(&body, "retCode")?
        .as_i64()
        .ok_or_else(|| wire::unknown("`retCode` is not a whole number"))?;
    if code != 0 {
        let said = wire::maybe_text(&body, "retMsg").unwrap_or_default();
        return Err(match refusal(code, reply, &body) {
            Some(kind) => wire::refused(kind, code.to_string(), said),
            None => wire::unknown(format!("Bybit said {code}: {}", wire::words(said))),
        });
    }
    if reply.status >= 300 || !wire::field(&body, "result")?.is_object() {
        return Err(wire::unknown(format!("HTTP status {} without a result", reply.status)));
    }
    Ok(body)
}

/// The codes that Bybit documents as refusals. All others tell nothing: 10000 and 10016 are time-outs
/// of the venue, 170007, 170032, 170035 and 170146 time-outs of the order.
fn refusal(code: i64, reply: &Reply, body: &Value) -> Option<Refusal> {
    Some(match code {
        10001 | 170_116 | 170_117 | 170_124 | 170_130 | 170_132..=170_137 | 170_140 | 170_148 => {
            Refusal::Parameters
        }
        10002 => Refusal::Clock,
        10003..=10005 | 10007..=10010 | 33004 => Refusal::Auth,
        10006 => Refusal::RateLimited { wait: until_reset(reply, body) },
        10029 | 170_121 | 170_151 => Refusal::Market,
        170_131 => Refusal::Funds,
        170_139 | 170_142 | 170_143 | 170_213 => Refusal::NotFound,
        170_141 => Refusal::DuplicateId,
        _ => return None,
    })
}

/// How long the header that tells the end of the running second lies ahead of the reply.
fn until_reset(reply: &Reply, body: &Value) -> Option<Duration> {
    let reset: i64 = reply.header("x-bapi-limit-reset-timestamp")?.parse().ok()?;
    let now = wire::moment(body, "time").ok()?;
    let wait = u64::try_from(reset.saturating_sub(now.ms()).max(0)).ok()?;
    Some(wire::bounded_wait(Duration::from_millis(wait)))
}
