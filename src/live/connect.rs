//! Connections to the venues of a configuration.

use crate::exit::{Code, Failure};
use keel_config::{Config, Credentials, VenueConfig};
use keel_core::asset::VenueId;
use keel_live::Venues;
use keel_venues::api::{Answer, ExchangeApi, VenueFacts};
use keel_venues::client::{
    ClockSample, Gates, HttpOptions, HttpTransport, MayWrite, RetryPolicy, measure_clock,
};
use keel_venues::venue::{Connection, Keys, VENUES, venue};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The whole time that a read with its retries may take.
const READ_TOTAL: std::time::Duration = std::time::Duration::from_secs(60);

/// One venue.
#[derive(Clone)]
pub struct Link {
    /// Its interface.
    pub api: Arc<dyn ExchangeApi>,
    /// What carries it.
    pub transport: Arc<HttpTransport>,
}

/// The venues of a configuration.
#[derive(Clone, Default)]
pub struct Links(BTreeMap<VenueId, Link>);

impl Links {
    /// Connects to every venue that tradable assets use. Nothing is sent. Without `credentials` only
    /// public questions can be asked.
    ///
    /// # Errors
    /// For a venue without an adapter, a wrong URL, or a missing passphrase.
    pub fn new(config: &Config, credentials: Option<&Credentials>) -> Result<Self, Failure> {
        let gates = Gates::default();
        let mut links = BTreeMap::new();
        for (id, venue_config) in config.used_venues() {
            let keys = credentials.and_then(|known| known.venues.get(&id)).map(|keys| Keys {
                api_key: Zeroizing::new(keys.api_key.expose().to_owned()),
                secret: Zeroizing::new(keys.secret.expose().to_owned()),
                password: keys
                    .password
                    .as_ref()
                    .map(|text| Zeroizing::new(text.expose().to_owned())),
            });
            let link = link(config, &id, venue_config, keys, &gates).map_err(|problem| {
                Failure::new(Code::BadInput, format!("exchange_configurations.{id}: {problem}"))
            })?;
            links.insert(id, link);
        }
        let links = Self(links);
        links.restore_pauses(&pauses_path(config));
        Ok(links)
    }

    /// The interfaces.
    #[must_use]
    pub fn venues(&self) -> Venues {
        self.0.iter().map(|(id, link)| (id.clone(), Arc::clone(&link.api))).collect()
    }

    /// One venue.
    #[must_use]
    pub fn get(&self, venue: &VenueId) -> Option<&Link> {
        self.0.get(venue)
    }

    /// Every venue.
    pub fn iter(&self) -> impl Iterator<Item = (&VenueId, &Link)> {
        self.0.iter()
    }

    /// Asks before each order, at the last moment, whether it may leave.
    pub fn write_only_while(&self, may_write: &MayWrite) {
        for link in self.0.values() {
            link.transport.write_only_while(Arc::clone(may_write));
        }
    }

    /// Measures the clock of a venue and uses it for signatures from now on.
    ///
    /// # Errors
    /// When the venue does not tell its time.
    pub async fn set_clock(link: &Link) -> Answer<ClockSample> {
        let sample = measure_clock(&*link.api, HttpOptions::default().clock).await?;
        link.transport.set_clock_offset(sample.offset_ms);
        Ok(sample)
    }

    /// Keeps the pauses that venues asked for, so that a restart does not end them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_pauses(&self, config: &Config) -> std::io::Result<()> {
        let path = pauses_path(config);
        let pauses: BTreeMap<&str, i64> = self
            .0
            .iter()
            .filter_map(|(id, link)| Some((id.as_str(), link.transport.paused_until_ms()?)))
            .collect();
        if pauses.is_empty() && !path.exists() {
            return Ok(());
        }
        let text = serde_json::to_string(&pauses).unwrap_or_default();
        keel_files::write_atomic(&path, text.as_bytes())
    }

    fn restore_pauses(&self, path: &Path) {
        let Ok(text) = std::fs::read_to_string(path) else { return };
        let Ok(pauses) = serde_json::from_str::<BTreeMap<String, i64>>(&text) else { return };
        for (id, link) in &self.0 {
            if let Some(until_ms) = pauses.get(id.as_str()) {
                link.transport.pause_until_ms(*until_ms);
            }
        }
    }
}

fn pauses_path(config: &Config) -> PathBuf {
    let mut path = config.paths.journal.clone().into_os_string();
    path.push(".pauses");
    PathBuf::from(path)
}

fn link(
    config: &Config,
    id: &VenueId,
    venue_config: &VenueConfig,
    keys: Option<Keys>,
    gates: &Gates,
) -> Result<Link, String> {
    let row = venue(id.as_str()).ok_or_else(|| {
        let known: Vec<&str> = VENUES.iter().map(|venue| venue.facts.id).collect();
        format!("there is no adapter for this exchange; expected one of {}", known.join(", "))
    })?;
    if row.facts.needs_password && keys.as_ref().is_some_and(|keys| keys.password.is_none()) {
        return Err(
            "its keys need a passphrase: set `password` in exchanges_credentials".to_owned()
        );
    }
    let urls = urls(row.facts, venue_config)?;
    let base = urls.values().next().cloned().unwrap_or_default();
    let tries = config.bot.max_retries_network.saturating_add(1);
    let options = HttpOptions {
        retry: RetryPolicy { tries, base: config.bot.retry_delay_network, total: READ_TOTAL },
        ..HttpOptions::default()
    };
    let transport = Arc::new(HttpTransport::new(&base, row.facts, gates, options)?);
    let connection = Connection {
        transport: Arc::clone(&transport) as Arc<dyn keel_venues::http::Transport>,
        urls,
        keys,
        sandbox: venue_config.sandbox,
    };
    Ok(Link { api: Arc::from((row.connect)(connection)), transport })
}

/// The base URLs: of the test environment if that is meant, and what the configuration puts in their
/// place. What is called a test environment never leads to the real exchange.
fn urls(facts: &VenueFacts, venue: &VenueConfig) -> Result<BTreeMap<String, String>, String> {
    let defaults = if venue.sandbox && !facts.sandbox_urls.is_empty() {
        facts.sandbox_urls
    } else {
        facts.urls
    };
    let mut urls: BTreeMap<String, String> =
        defaults.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
    for (name, url) in &venue.urls {
        let Some(slot) = urls.get_mut(name) else {
            let names: Vec<&str> = defaults.iter().map(|(name, _)| *name).collect();
            return Err(format!("urls.{name} is not known; expected {}", names.join(", ")));
        };
        url.trim_end_matches('/').clone_into(slot);
    }
    // OKX has one address for both, and a header that tells them apart.
    let mut real = facts.urls.iter().filter(|row| !facts.sandbox_urls.contains(row));
    match real.find(|(name, url)| urls.get(*name).is_some_and(|used| used == url)) {
        Some((name, url)) if venue.sandbox => {
            let has =
                if facts.sandbox_urls.is_empty() { "it has no test environment, and " } else { "" };
            Err(format!(
                "{has}{url} is the real exchange: set sandbox to false, or urls.{name} to a test environment"
            ))
        }
        _ => Ok(urls),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sandbox: bool, urls: &[(&str, &str)]) -> VenueConfig {
        VenueConfig {
            credentials_key: None,
            sandbox,
            options: keel_config::Options::default(),
            urls: urls.iter().map(|(name, url)| ((*name).into(), (*url).into())).collect(),
        }
    }

    #[test]
    fn okx_is_reached_at_the_address_of_its_region_in_both_environments() {
        let facts = venue("okx").unwrap().facts;
        for url in ["https://eea.okx.com", "https://us.okx.com/", "https://www.okx.com"] {
            for sandbox in [false, true] {
                let used = urls(facts, &config(sandbox, &[("api", url)]));
                let expected = BTreeMap::from([("api".into(), url.trim_end_matches('/').into())]);
                assert_eq!(used, Ok(expected), "{url}, sandbox: {sandbox}");
            }
        }
        // Elsewhere the address alone tells the environments apart.
        let facts = venue("bybit").unwrap().facts;
        assert!(urls(facts, &config(true, &[("rest", "https://api.bybit.com")])).is_err());
    }

    #[test]
    fn a_test_environment_has_its_own_addresses_and_the_real_exchange_has_its_own() {
        let urls_of = |facts, sandbox| urls(facts, &config(sandbox, &[]));
        for facts in VENUES.iter().map(|venue| venue.facts) {
            let owned = |urls: &[(&str, &str)]| -> BTreeMap<String, String> {
                urls.iter().map(|(name, url)| ((*name).into(), (*url).into())).collect()
            };
            assert_eq!(urls_of(facts, false), Ok(owned(facts.urls)));
            match urls_of(facts, true) {
                Ok(urls) => assert_eq!(urls, owned(facts.sandbox_urls)),
                Err(_) => assert!(facts.sandbox_urls.is_empty(), "{}", facts.id),
            }
        }
    }
}
