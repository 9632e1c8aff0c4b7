//! What stands between every adapter and the program: venues repeat keys in their messages, and
//! messages go to logs and chats; a signed read that was refused for its time is worth one more try; and
//! a refused key is remembered.

use crate::api::{
    Answer, ApiError, Book, ExchangeApi, KeyRights, MarketOrder, OrderState, OwnTrade, Placed,
    Reference, Refusal, TickerQuote, VenueFacts,
};
use crate::client::measure_clock;
use crate::http::Transport;
use crate::venue::{Connection, Keys};
use async_trait::async_trait;
use keel_core::asset::{Symbol, Ticker};
use keel_core::candle::Candle;
use keel_core::order::ClientOrderId;
use keel_core::plan::Markets;
use keel_core::state::Balance;
use keel_core::time::{Timeframe, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// The adapter that `make` makes, in whose errors no key is left, and whose reads set the clock right.
pub(crate) fn guarded<A: ExchangeApi + 'static>(
    connection: Connection,
    make: impl FnOnce(Connection) -> A,
) -> Box<dyn ExchangeApi> {
    let secrets = Secrets::new(connection.keys.as_ref());
    let transport = Arc::clone(&connection.transport);
    Box::new(Guarded { api: make(connection), transport, secrets, refused: Mutex::default() })
}

struct Guarded<A> {
    api: A,
    transport: Arc<dyn Transport>,
    secrets: Secrets,
    /// In what words the key was refused, until its rights could be read again.
    refused: Mutex<Option<String>>,
}

impl<A: ExchangeApi> Guarded<A> {
    /// A signed read. Orders never come here: nothing may send them twice.
    async fn read<T, F>(&self, ask: impl Fn() -> F + Send + Sync) -> Answer<T>
    where
        T: Send,
        F: Future<Output = Answer<T>> + Send,
    {
        let mut answer = ask().await;
        if matches!(answer, Err(ApiError::Refused { refusal: Refusal::Clock, .. }))
            && let Ok(sample) = measure_clock(&self.api, || self.transport.local_now_ms()).await
        {
            self.transport.set_clock_offset(sample.offset_ms);
            answer = ask().await;
        }
        self.heard(answer)
    }

    fn refused(&self) -> MutexGuard<'_, Option<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a signed question, without keys; what it says of the key is remembered.
    fn heard<T>(&self, answer: Answer<T>) -> Answer<T> {
        self.hide(answer).inspect_err(|error| {
            if matches!(error, ApiError::Refused { refusal: Refusal::Auth, .. }) {
                *self.refused() = Some(error.to_string());
            }
        })
    }

    fn hide<T>(&self, answer: Answer<T>) -> Answer<T> {
        answer.map_err(|error| match error {
            ApiError::Refused { refusal, code, message } => ApiError::Refused {
                refusal,
                code: self.secrets.hidden(&code),
                message: self.secrets.hidden(&message),
            },
            ApiError::NotSent(why) => ApiError::NotSent(self.secrets.hidden(&why)),
            ApiError::Unknown(why) => ApiError::Unknown(self.secrets.hidden(&why)),
        })
    }
}

/// Key, secret and passphrase of an account, line by line.
struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Messages are cut, so that only a part of a key may be left of it. No venue has shorter keys or
    /// passphrases.
    const PIECE: usize = 7;

    fn new(keys: Option<&Keys>) -> Self {
        let texts = keys.into_iter().flat_map(|keys| {
            [Some(&keys.api_key), Some(&keys.secret), keys.password.as_ref()].into_iter().flatten()
        });
        // The first and the last line of a PEM are the same for everybody.
        let lines = texts
            .flat_map(|text| text.split(['\n', '\\']))
            .filter(|line| !["-----BEGIN", "-----END"].iter().any(|mark| line.contains(mark)));
        Self(lines.map(|line| Zeroizing::new(line.to_owned())).collect())
    }

    /// The text without the keys and without pieces of them.
    fn hidden(&self, text: &str) -> String {
        let mut shown = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let known = self.0.iter().map(|secret| shared(secret, rest)).max().unwrap_or_default();
            let (part, end) = if known >= Self::PIECE {
                ("[redacted]", known)
            } else {
                let end = first.len_utf8();
                (rest.get(..end).unwrap_or_default(), end)
            };
            shown.push_str(part);
            rest = rest.get(end..).unwrap_or_default();
        }
        shown
    }
}

/// How many bytes of the start of `text` are somewhere in `secret`.
fn shared(secret: &str, text: &str) -> usize {
    let ends = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
    ends.take_while(|end| text.get(..*end).is_some_and(|start| secret.contains(start)))
        .last()
        .unwrap_or_default()
}

#[async_trait]
impl<A: ExchangeApi> ExchangeApi for Guarded<A> {
    fn facts(&self) -> &'static VenueFacts {
        self.api.facts()
    }

    fn wire_id(&self, id: &ClientOrderId) -> String {
        self.api.wire_id(id)
    }

    async fn time(&self) -> Answer<Timestamp> {
        self.hide(self.api.time().await)
    }

    async fn markets(&self) -> Answer<Markets> {
        self.hide(self.api.markets().await)
    }

    async fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        since: Option<Timestamp>,
        limit: usize,
    ) -> Answer<Vec<Candle>> {
        self.hide(self.api.candles(symbol, timeframe, since, limit).await)
    }

    async fn tickers(&self, symbols: &[Symbol]) -> Answer<Vec<TickerQuote>> {
        self.hide(self.api.tickers(symbols).await)
    }

    async fn book(&self, symbol: &Symbol, depth: usize) -> Answer<Book> {
        self.hide(self.api.book(symbol, depth).await)
    }

    async fn balances(&self) -> Answer<BTreeMap<Ticker, Balance>> {
        self.read(move || self.api.balances()).await
    }

    async fn market_order(&self, order: &MarketOrder) -> Answer<Placed> {
        self.heard(self.api.market_order(order).await)
    }

    async fn order(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<Option<OrderState>> {
        self.read(move || self.api.order(symbol, of)).await
    }

    async fn open_orders(&self, symbol: Option<&Symbol>) -> Answer<Vec<OrderState>> {
        self.read(move || self.api.open_orders(symbol)).await
    }

    async fn closed_orders(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OrderState>> {
        self.read(move || self.api.closed_orders(symbol, since)).await
    }

    async fn own_trades(&self, symbol: &Symbol, since: Timestamp) -> Answer<Vec<OwnTrade>> {
        self.read(move || self.api.own_trades(symbol, since)).await
    }

    async fn own_trades_in(
        &self,
        markets: &[(Symbol, Timestamp)],
    ) -> Answer<BTreeMap<Symbol, Vec<OwnTrade>>> {
        self.read(move || self.api.own_trades_in(markets)).await
    }

    async fn order_trades(&self, symbol: &Symbol, venue_order_id: &str) -> Answer<Vec<OwnTrade>> {
        self.read(move || self.api.order_trades(symbol, venue_order_id)).await
    }

    async fn cancel(&self, symbol: &Symbol, of: Reference<'_>) -> Answer<()> {
        self.heard(self.api.cancel(symbol, of).await)
    }

    async fn key_rights(&self) -> Answer<KeyRights> {
        let rights = self.read(move || self.api.key_rights()).await?;
        *self.refused() = None;
        Ok(rights)
    }

    fn key_refused(&self) -> Option<String> {
        self.refused().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_hidden_whole_and_in_pieces_and_nothing_else_is() {
        let secret = |text: &str| Zeroizing::new(text.to_owned());
        let keys = Keys {
            api_key: secret("Ab3xYz81QqLm0pT7Re"),
            secret: secret(
                "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIOne\\nTwoAoGCCq\n-----END EC PRIVATE KEY-----\n",
            ),
            password: Some(secret("pässwörd")),
        };
        let secrets = Secrets::new(Some(&keys));
        for (text, shown) in [
            ("origin_string[1760Ab3xYz81QqLm0pT7Re5000]", "origin_string[1760[redacted]5000]"),
            ("it starts with `QqLm0pT7Re`", "it starts with `[redacted]`"),
            ("cut: Ab3xYz81Qq", "cut: [redacted]"),
            ("pässwörd MHcCAQEEIOne woAoGCCq", "[redacted] [redacted] [redacted]"),
            ("expected -----BEGIN EC PRIVATE KEY-----", "expected -----BEGIN EC PRIVATE KEY-----"),
            ("Ab3xYz is short, ü", "Ab3xYz is short, ü"),
        ] {
            assert_eq!(secrets.hidden(text), shown);
        }
        assert_eq!(Secrets::new(None).hidden("anything"), "anything");
    }
}
