//! The tokens that sign Coinbase's requests.

use crate::sign::{base64_bytes, hex, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};

/// How long a token is good for.
pub(super) const TOKEN_SECONDS: i64 = 120;

/// The key in an API secret: a private key of the curve P-256 as PEM, in either of its two forms.
/// Variables of the environment often hold it on one line, with `\n` written out.
pub(super) fn signing_key(secret: &str) -> Result<SigningKey, String> {
    let pem = zeroize::Zeroizing::new(secret.trim().replace("\\n", "\n"));
    let key = SecretKey::from_sec1_pem(&pem).ok().or_else(|| SecretKey::from_pkcs8_pem(&pem).ok());
    key.map(SigningKey::from).ok_or_else(|| {
        let ed25519 = base64_bytes(secret).is_some_and(|bytes| [32, 64].contains(&bytes.len()));
        let seen = if ed25519 { "an Ed25519 key" } else { "no private key that can be read" };
        format!(
            "the API secret of coinbase is {seen}; expected PEM that begins with `-----BEGIN EC PRIVATE KEY-----`: \
             make a key with the signature algorithm ECDSA"
        )
    })
}

/// A token for one request (JWT, ES256). Its `nonce` is a digest of the request and the time, and the
/// signature follows RFC 6979, so that the same request at the same moment has the same token.
pub(super) fn token(
    key: &SigningKey,
    name: &str,
    verb: &str,
    url: &str,
    body: &str,
    now_ms: i64,
) -> String {
    let nonce = hex(&sha256(format!("{verb} {url} {body} {now_ms}").as_bytes()));
    let nonce = nonce.get(..32).unwrap_or_default();
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let place = place.split_once('?').map_or(place, |(place, _)| place);
    let now = now_ms.div_euclid(1000);
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": name, "nonce": nonce });
    let claims = json!({
        "aud": ["retail_rest_api_proxy"],
        "iss": "coinbase-cloud",
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "sub": name,
        "iat": now,
        "uri": format!("{verb} {place}"),
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::pkcs8::{EncodePrivateKey as _, LineEnding};

    const URL: &str = "https://api.coinbase.com/api/v3/brokerage/accounts?limit=250";
    const NOW_MS: i64 = 1_760_000_123_456;

    /// The invented key of the goldens.
    fn golden(name: &str) -> String {
        let golden: Value =
            serde_json::from_str(include_str!("../../tests/goldens/coinbase.json")).unwrap();
        golden["keys"][name].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_token_is_the_one_that_python_signs_and_the_same_every_time() {
        let key = signing_key(&golden("secret")).unwrap();
        let made = || token(&key, &golden("api_key"), "GET", URL, "", NOW_MS);
        // `create_auth_token` of ccxt 4.5.90 with this nonce, which signs by RFC 6979 too.
        assert_eq!(
            hex(&sha256(made().as_bytes())),
            "da9fab6b9545f4484a570f29197851d4abddf034aac2d73b4675db644971899f"
        );
        assert_eq!(made(), made());
        let later = token(&key, &golden("api_key"), "GET", URL, "", NOW_MS + 1);
        assert_ne!(made(), later, "a repeated question is signed afresh");
    }

    #[test]
    fn a_key_is_read_in_both_forms_and_on_one_line() {
        let sec1 = golden("secret");
        let key = signing_key(&sec1).unwrap();
        let pkcs8 = SecretKey::from(&key).to_pkcs8_pem(LineEnding::LF).unwrap();
        for form in [pkcs8.as_str(), &sec1.replace('\n', "\\n"), &format!("\n {sec1} \n")] {
            assert_eq!(signing_key(form).unwrap(), key);
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused_with_what_to_do() {
        let why = signing_key(&base64::engine::general_purpose::STANDARD.encode([7; 64]));
        let why = why.unwrap_err();
        assert!(why.contains("Ed25519") && why.contains("ECDSA"), "{why}");
        let why = signing_key("c2VjcmV0").unwrap_err();
        assert!(!why.contains("c2VjcmV0"), "a secret is never shown: {why}");
    }
}
