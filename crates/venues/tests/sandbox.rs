//! Where requests go in a venue's test environment, and how they are marked there.
#![allow(clippy::unwrap_used)]

mod support;

use keel_venues::venue::VENUES;
use std::sync::Arc;
use support::Canned;
use support::calls::{CALLS, call};

/// An empty answer in the form of every venue, so that calls of several requests go on.
const EMPTY: &str = r#"{"code":"0","retCode":0,"retMsg":"OK","data":[],"result":{"list":[]}}"#;

#[tokio::test]
async fn requests_go_to_the_environment_that_was_meant_and_okx_marks_them() {
    for venue in VENUES {
        let id = venue.facts.id;
        // OKX has one address for both: its header alone tells them apart.
        let by_header = id == "okx";
        for (sandbox, meant, other) in [
            (true, venue.facts.sandbox_urls, venue.facts.urls),
            (false, venue.facts.urls, venue.facts.sandbox_urls),
        ] {
            for (name, _) in CALLS {
                let transport = Canned::new(&[(200, EMPTY); 8]);
                if meant.is_empty() {
                    continue;
                }
                let api = support::connect(id, Arc::clone(&transport), sandbox);
                // What it makes of the answer is no matter here.
                drop(call(&*api, name).await);
                let requests = transport.requests();
                let is_asked = !(id == "binance" && sandbox && name == "key_rights");
                assert_eq!(!requests.is_empty(), is_asked, "{id} {name}");
                for request in requests {
                    let goes_to = |urls: &[(&str, &str)]| {
                        urls.iter().any(|(_, url)| request.url.starts_with(&format!("{url}/")))
                    };
                    assert!(goes_to(meant), "{id} {name}: {}", request.url);
                    assert!(by_header || !goes_to(other), "{id} {name}: {}", request.url);
                    let marks: Vec<&str> = request
                        .headers
                        .iter()
                        .filter(|(header, _)| header.eq_ignore_ascii_case("x-simulated-trading"))
                        .map(|(_, value)| value.as_str())
                        .collect();
                    let expected: &[&str] = if by_header && sandbox { &["1"] } else { &[] };
                    assert_eq!(marks, expected, "{id} {name}");
                }
            }
        }
    }
}
