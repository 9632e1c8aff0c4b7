//! Which replies of KuCoin are answers, which are refusals, and which tell nothing.

use crate::api::{Answer, Refusal};
use crate::http::Reply;
use crate::wire;
use serde_json::Value;
use std::time::Duration;

/// What a reply says that says yes.
pub(super) fn accepted(reply: &Reply) -> Answer<Value> {
    if reply.status >= 500 || (300..400).contains(&reply.status) {
        return Err(wire::unknown(format!("HTTP status {}", reply.status)));
    }
    let mut body = wire::parse_json(reply)?;
    let code = wire::name(&body, "code")?;
    if code != "200000" {
        let said = wire::maybe_text(&body, "msg").unwrap_or_default();
        return Err(match refusal(&code, said, reply) {
            Some(kind) => wire::refused(kind, code, said),
            None => {
                wire::unknown(format!("KuCoin said {}: {}", wire::words(&code), wire::words(said)))
            }
        });
    }
    if reply.status >= 300 {
        return Err(wire::unknown(format!("HTTP status {} that says yes", reply.status)));
    }
    // KuCoin also puts refusals into replies that say yes.
    let said = wire::maybe_text(&body, "msg").filter(|said| !said.eq_ignore_ascii_case("success"));
    if let Some(said) = said {
        return Err(wire::unknown(format!("KuCoin said 200000: {}", wire::words(said))));
    }
    body.get_mut("data").map(Value::take).ok_or_else(|| wire::unknown("the reply has no `data`"))
}

/// The codes that KuCoin documents as refusals; all others tell nothing.
fn refusal(code: &str, said: &str, reply: &Reply) -> Option<Refusal> {
    let said = said.to_ascii_lowercase().replace('_', " ");
    let no_order = said.contains("order not exist") || said.contains("order does not exist");
    Some(match code {
        "400002" => Refusal::Clock,
        "400001" | "400003" | "400004" | "400005" | "400006" | "400007" | "411100" => Refusal::Auth,
        "429000" => Refusal::RateLimited { wait: until_reset(reply) },
        "200004" => Refusal::Funds,
        "200001" | "400600" | "900001" => Refusal::Market,
        "order_not_exist" => Refusal::NotFound,
        "400100" if no_order => Refusal::NotFound,
        // A complaint about the client id may mean that it was used before.
        "400100" if said.contains("clientoid") => return None,
        "400100" if said.contains("trading pair") => Refusal::Market,
        "400100" | "400370" | "400760" | "600100" | "600101" => Refusal::Parameters,
        "200003" | "400200" | "400500" => Refusal::Other,
        _ => return None,
    })
}

/// The pause that the header asks for, in milliseconds there.
fn until_reset(reply: &Reply) -> Option<Duration> {
    let ms = reply.header("gw-ratelimit-reset")?.parse().ok()?;
    Some(wire::bounded_wait(Duration::from_millis(ms)))
}
