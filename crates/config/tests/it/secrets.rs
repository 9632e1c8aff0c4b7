//! Credentials: where they may be, and that they are never shown.

use crate::support::{Desk, SEED_SHAPED, edited, mode};
use keel_config::{Secret, SecretRef, effective, load, resolve_secrets};

const CANARY: &str = "c4nary-9f3b";
const BLANK: &str = "\"apiKey\": \"\", \"secret\": \"YOUR_API_SECRET\"";

fn literal() -> String {
    edited(BLANK, &format!("\"apiKey\": \"{CANARY}\", \"secret\": \"{CANARY}-2\""))
}

fn by_env() -> String {
    edited(BLANK, "\"apiKey\": \"${KEY}\", \"secret\": \"${SECRET}\"")
}

#[cfg(unix)]
#[test]
fn a_literal_works_only_in_a_file_that_nobody_else_can_read() {
    let desk = Desk::new();
    let shown = desk.problems(&literal());
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains("run: chmod 600 DIR/config.json"), "{shown}");
    assert!(!shown.contains(CANARY), "{shown}");
    let path = desk.path("config.json");
    mode(&path, 0o600);
    let config = load(&path, &|_| None).unwrap();
    let keys = resolve_secrets(&config, &|_| None).unwrap();
    let binance = keys.venues.values().next().unwrap();
    assert_eq!(binance.api_key.expose(), CANARY);
    let seen = format!("{config:?} {keys:?} {}", effective(&config));
    assert!(!seen.contains(CANARY), "{seen}");
    assert!(seen.contains("[redacted]"));
}

#[test]
fn no_message_repeats_a_credential_that_is_in_the_wrong_place() {
    let desk = Desk::new();
    let private =
        "\"apiKey\": \"\", \"secret\": \"YOUR_API_SECRET\", \"password\": \"\", \"options\": {}";
    for (from, to) in [
        (private, format!("\"apikey\": \"{CANARY}\"")),
        (private, format!("\"{CANARY}\": 1, \"{CANARY}\": 2")),
        (private, format!("\"apiKey\": [\"{CANARY}\"]")),
        (private, format!("\"apiKey\": \"${{{CANARY}\"")),
        (private, format!("\"options\": \"{CANARY}\"")),
        (private, format!("\"apiKey\": \"{CANARY}")),
        (private, format!("\"apiKey\": {CANARY}")),
        ("{ \"apiKey\": \"${TG_TOKEN}\", \"chatId\": -100123 }", format!("\"{CANARY}\"")),
        ("-100123", format!("\"{CANARY}\"")),
        ("\"sandbox\": false", format!("\"urls\": {{ \"rest\": \"https://u:{CANARY}@x\" }}")),
        ("\"binance_main\",", format!("\"{}\",", CANARY.repeat(4))),
    ] {
        let errors = desk.load(&edited(from, &to)).unwrap_err();
        let seen =
            format!("{errors} {errors:?} {}", serde_json::to_string(errors.problems()).unwrap());
        assert!(!seen.contains(CANARY), "{to}\n{seen}");
    }
}

#[test]
fn options_that_look_like_credentials_are_hidden() {
    let text = edited(
        "\"adjustForTimeDifference\": true",
        &format!("\"adjustForTimeDifference\": true, \"inner\": {{ \"authToken\": \"{CANARY}\" }}"),
    )
    .replace(
        "\"password\": \"\", \"options\": {}",
        &format!("\"options\": {{ \"x\": \"{CANARY}\" }}"),
    );
    let config = Desk::new().load(&text).unwrap();
    let seen = format!("{config:?} {}", effective(&config));
    assert!(!seen.contains(CANARY), "{seen}");
    assert!(seen.contains("adjustForTimeDifference"));
}

#[test]
fn a_dry_run_needs_no_credentials() {
    let config = Desk::new().load(SEED_SHAPED).unwrap();
    let keys = resolve_secrets(&config, &|_| None).unwrap();
    assert!(keys.venues.is_empty() && keys.telegram.is_none());
    let unresolved: Vec<&str> = keys.unresolved.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(
        unresolved,
        ["exchanges_credentials.binance_main.apiKey", "exchanges_credentials.binance_main.secret"]
    );
    let no_key = edited("\"credentials_key\": \"binance_main\",", "");
    assert!(Desk::new().load(&no_key).is_ok());
}

#[test]
fn a_live_run_needs_them_all_at_once() {
    let desk = Desk::new();
    let live = |text: String| text.replace("\"dry_run\": true", "\"dry_run\": false");
    let shown = desk.problems(&live(by_env()));
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains("environment variable KEY is not set"), "{shown}");
    assert!(desk.problems(&live(SEED_SHAPED.to_owned())).contains("a placeholder"));
    let no_key = edited("\"credentials_key\": \"binance_main\",", "");
    assert!(desk.problems(&live(no_key)).contains("binance.credentials_key: missing key"));
    let env = |name: &str| matches!(name, "KEY" | "SECRET").then(|| format!("{CANARY}-{name}"));
    let path = desk.write("config.json", &live(by_env()));
    let config = load(&path, &env).unwrap();
    assert!(!config.bot.dry_run);
    assert_eq!(effective(&config)["exchanges_credentials"]["binance_main"]["apiKey"], "${KEY}");
    let keys = resolve_secrets(&config, &env).unwrap();
    assert_eq!(keys.venues.values().next().unwrap().secret.expose(), format!("{CANARY}-SECRET"));
    assert!(resolve_secrets(&config, &|_| None).is_err());
}

#[test]
fn telegram_takes_a_number_or_a_reference() {
    let text = edited("\"enabled\": false", "\"enabled\": true");
    let env = |name: &str| (name == "TG_TOKEN").then(|| CANARY.to_owned());
    let desk = Desk::new();
    let config = load(&desk.write("config.json", &text), &env).unwrap();
    let bot = resolve_secrets(&config, &env).unwrap().telegram.unwrap();
    assert_eq!((bot.token.expose(), bot.chat_id.expose()), (CANARY, "-100123"));
    let text = text.replace("-100123", "\"-100123\"");
    let config = load(&desk.write("config.json", &text), &env).unwrap();
    assert_eq!(
        config.telegram_credentials["bot"].chat_id,
        SecretRef::Literal(Secret::new("-100123".to_owned()))
    );
}
