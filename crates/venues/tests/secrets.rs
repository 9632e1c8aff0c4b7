//! No key in any text of a venue: what its messages repeat is in no error.
#![allow(clippy::unwrap_used)]

mod support;

use keel_venues::api::ApiError;
use keel_venues::venue::VENUES;
use support::calls::{CALLS, call};
use support::{Canned, adapter};

const KEY: &str = "key-of-nobody";
const PASSWORD: &str = "password-of-nobody";

/// Replies with these words: refusals, codes that nobody listed, and bodies that cannot be read.
fn replies(venue: &str, words: &str) -> Vec<(u16, String)> {
    let said = serde_json::Value::from(words).to_string();
    let refusals = match venue {
        "binance" => vec![
            (401, format!(r#"{{"code":-2015,"msg":{said}}}"#)),
            (400, format!(r#"{{"code":-9999,"msg":{said}}}"#)),
        ],
        "okx" => vec![
            (401, format!(r#"{{"code":"50113","msg":{said},"data":[]}}"#)),
            (200, format!(r#"{{"code":"1","data":[{{"sCode":"59999","sMsg":{said}}}]}}"#)),
        ],
        "bybit" => vec![
            (200, format!(r#"{{"retCode":10004,"retMsg":{said},"result":{{}}}}"#)),
            (200, format!(r#"{{"retCode":99999,"retMsg":{said},"result":{{}}}}"#)),
        ],
        "kraken" => vec![
            (200, format!(r#"{{"error":["EAPI:Invalid key",{said}]}}"#)),
            (200, format!(r#"{{"error":["EAPI:Invalid key:{words}"]}}"#)),
        ],
        "kucoin" => vec![
            (400, format!(r#"{{"code":"400005","msg":{said}}}"#)),
            (200, format!(r#"{{"code":"999999","msg":{said}}}"#)),
        ],
        "coinbase" => vec![
            (401, words.to_owned()),
            (403, format!(r#"{{"error":"PERMISSION_DENIED","message":{said}}}"#)),
        ],
        other => panic!("{other} has no refusals here; every venue needs some"),
    };
    let unreadable = [(200, words.to_owned()), (429, words.to_owned()), (200, said)];
    refusals.into_iter().chain(unreadable).collect()
}

#[tokio::test]
async fn no_error_holds_a_key_that_the_venue_repeats() {
    let texts = [
        // Bybit's words for a wrong signature, and the same so long that they are cut in the key.
        format!("error sign! origin_string[1760000123456{KEY}5000accountType=UNIFIED]"),
        format!("{}{KEY}", "x".repeat(190)),
        format!("{}{KEY} {PASSWORD}", "x".repeat(30)),
        format!("{KEY} {PASSWORD}"),
    ];
    for venue in VENUES {
        let venue = venue.facts.id;
        let mut redacted = 0;
        for (name, _) in CALLS {
            for (status, body) in texts.iter().flat_map(|text| replies(venue, text)) {
                let transport = Canned::new(&[(status, body.as_str()); 8]);
                let error: ApiError = call(&*adapter(venue, transport), name).await.unwrap_err();
                for shown in [error.to_string(), format!("{error:?}")] {
                    let leaks = [&KEY[..7], &PASSWORD[..7]].iter().any(|part| shown.contains(part));
                    assert!(!leaks, "{venue} {name}: HTTP {status} with `{body}`: {shown}");
                    redacted += usize::from(shown.contains("[redacted]"));
                }
            }
        }
        assert!(redacted > 100, "{venue}: {redacted}");
    }
}
