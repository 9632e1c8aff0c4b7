//! Where connections may go: over https to the public internet, and to this computer when it is named.
//! A URL or a look-up that leads anywhere else inside (another machine of the network, the metadata
//! service of a cloud) is a mistake of the configuration or somebody's trap, and nothing is sent there.

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error as _;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use url::{Host, Url};

/// Host and port of a base URL, after the check that it may be talked to. Where a name leads is only
/// known when it is looked up; [`client`] checks that.
///
/// # Errors
/// A message for the operator when it is no URL, when it is plain HTTP to another computer, and when it
/// names an address that is neither public nor this computer.
pub fn host_of(url: &str) -> Result<String, String> {
    let url = Url::parse(url).map_err(|error| format!("a base URL cannot be read: {error}"))?;
    let host = url.host().ok_or("a base URL has no host")?;
    match url.scheme() {
        "https" => {}
        "http" if is_this_computer(&host) => {}
        scheme => {
            return Err(format!(
                "{scheme}://{host}: requests go over https only; plain http is for this \
                 computer (127.0.0.1, ::1, localhost)"
            ));
        }
    }
    let address = match host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
    };
    if address.is_some_and(|address| !address.is_loopback() && !is_public(address)) {
        return Err(format!(
            "{host} is neither an address of the public internet nor this computer"
        ));
    }
    Ok(format!("{host}:{}", url.port_or_known_default().unwrap_or_default()))
}

/// The beginnings of an HTTP client that goes nowhere else than it was sent: no redirects, no proxy from
/// the environment, no second tries of its own, and no name that leads inside.
pub fn client(lookup: Lookup) -> ClientBuilder {
    ClientBuilder::new()
        .user_agent(concat!("keel/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .retry(reqwest::retry::never())
        .referer(false)
        .dns_resolver(Arc::new(lookup))
}

/// The error and its causes without the URL, which holds signatures, keys and tokens.
#[must_use]
pub fn without_url(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Where a host name leads, as the system or a test says it. What comes out of it is checked.
#[derive(Clone)]
pub struct Lookup(Arc<dyn Fn(String) -> Addresses + Send + Sync>);

impl Lookup {
    /// Asks this function.
    pub fn new<F>(ask: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
    {
        Self(Arc::new(move |name| Box::pin(ask(name))))
    }
}

impl Default for Lookup {
    /// Asks the system.
    fn default() -> Self {
        Self::new(|name| async move {
            Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
        })
    }
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let asked = (self.0)(name.clone());
        Box::pin(async move {
            let addresses = asked
                .await
                .map_err(|error| format!("the host name {name} cannot be looked up: {error}"))?;
            check(&name, &addresses)?;
            // The port of the URL takes the place of zero.
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

/// One address that is inside refuses the name: which of them a connection takes is left to chance, and
/// a name that leads both inside and outside is how a look-up is poisoned.
fn check(name: &str, addresses: &[IpAddr]) -> Result<(), String> {
    if addresses.is_empty() {
        return Err(format!("the host name {name} has no address"));
    }
    for address in addresses {
        if name == "localhost" && !address.is_loopback() {
            return Err(format!("localhost leads to {address}, which is not this computer"));
        }
        if name != "localhost" && !is_public(*address) {
            return Err(format!("{name} leads to {address}, which is no public address"));
        }
    }
    Ok(())
}

const fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Source: the registry of IPv4 addresses for special purposes (RFC 6890 and later).
const fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Only 2000::/3 is handed out. Of it documentation, and what carries IPv4 over tunnels, are left out;
/// mapped IPv4 addresses lie outside. A translator for networks without IPv4 (64:ff9b::/96) leads to
/// the address that it carries.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

fn is_this_computer(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of every kind that is not the public internet.
    const INSIDE: [&str; 27] = [
        "0.0.0.0",
        "10.0.0.5",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "64:ff9b::10.0.0.5",
        "2001::1",
        "2001:db8::1",
        "2002:a00:5::",
        "3fff::1",
        "fc00::1",
        "fe80::1",
        "ff02::1",
    ];
    const OUTSIDE: [&str; 9] = [
        "1.1.1.1",
        "100.128.0.1",
        "172.32.0.1",
        "192.1.2.3",
        "198.20.0.1",
        "223.255.255.255",
        "2600:9000::1",
        "2a00:1450:4001::1",
        "64:ff9b::1.1.1.1",
    ];

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn f081_a_name_may_lead_to_public_addresses_only() {
        assert!(check("api.venue.example", &addresses(&OUTSIDE)).is_ok());
        for inside in INSIDE {
            for all in [vec![inside], vec!["1.1.1.1", inside], vec![inside, "1.1.1.1"]] {
                let why = check("api.venue.example", &addresses(&all)).unwrap_err();
                assert!(why.contains("api.venue.example leads to"), "{why}");
                assert!(why.contains(&addresses(&[inside])[0].to_string()), "{why}");
            }
        }
        assert!(check("api.venue.example", &[]).is_err());
        assert!(check("localhost", &addresses(&["127.0.0.1", "::1"])).is_ok());
        assert!(check("localhost", &addresses(&["127.0.0.1", "1.1.1.1"])).is_err());
        assert!(check("sub.localhost", &addresses(&["127.0.0.1"])).is_err());
    }

    #[test]
    fn f098_a_url_may_name_public_hosts_and_this_computer_only() {
        for fine in [
            "https://api.binance.com",
            "https://1.1.1.1",
            "https://[2600:9000::1]:8443/api",
            "https://127.0.0.1:8080",
            "http://127.0.0.1:8080",
            "http://localhost",
            "http://[::1]:1",
        ] {
            assert!(host_of(fine).is_ok(), "{fine}");
        }
        for bad in [
            "http://api.binance.com",
            "http://10.0.0.1",
            "http://169.254.169.254/latest/meta-data",
            "https://169.254.169.254",
            // The same address, as a whole number.
            "https://2852039166",
            "https://192.168.1.1",
            "https://0.0.0.0",
            "https://[fd00:ec2::254]",
            "https://[::ffff:127.0.0.1]",
            "http://[::ffff:127.0.0.1]",
            "file:///etc/passwd",
            "ws://127.0.0.1",
            "ftp://x",
            "x",
            "",
        ] {
            assert!(host_of(bad).is_err(), "{bad}");
        }
        assert_eq!(host_of("https://api.binance.com/api").unwrap(), "api.binance.com:443");
    }
}
