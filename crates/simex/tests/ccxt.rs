//! Python ccxt, which knows nothing of us, works with the simulated venues.

#![allow(clippy::unwrap_used, reason = "a test")]

use keel_simex::prices::Place;
use keel_simex::server::Double;
use keel_simex::{Simex, SimexConfig};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The python that has ccxt, or why there is none.
fn python() -> Result<String, String> {
    let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/ccxt/setup");
    let run = Command::new(setup).output().map_err(|error| error.to_string())?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&run.stdout).trim().to_owned())
}

#[tokio::test]
async fn python_ccxt_passes_against_both_dialects() {
    let python = match tokio::task::spawn_blocking(python).await.unwrap() {
        Ok(python) => python,
        Err(reason) => {
            assert!(std::env::var_os("KEEL_REQUIRE_CCXT").is_none(), "{reason}");
            println!("skipped: {reason}");
            return;
        }
    };
    let simex = Simex::start(SimexConfig::default()).await.unwrap();
    let venues = [(Place::Binance, Double::Binance), (Place::Okx, Double::Okx)];
    let mut urls = serde_json::Map::new();
    let mut keys = serde_json::Map::new();
    for (place, double) in venues {
        let key = serde_json::to_value(&simex.config().venues[&place].keys[0]).unwrap();
        keys.insert(double.name().to_owned(), key);
        urls.insert(double.name().to_owned(), simex.url(double).into());
    }
    let world =
        serde_json::json!({"urls": urls, "keys": keys, "control": simex.url(Double::Control)});
    // The client runs beside the servers, which live on this thread.
    let done = tokio::task::spawn_blocking(move || run(&python, &world.to_string())).await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}");
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
}

fn run(python: &str, world: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ccxt_client.py");
    let mut client = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    client.stdin.take().unwrap().write_all(world.as_bytes()).unwrap();
    client.wait_with_output().unwrap()
}
