//! CoinGecko, Telegram and the control plane.

use crate::client::{frozen, http, public, read, still};
use keel_simex::Simex;
use keel_simex::server::Double;
use serde_json::{Value, json};
use std::time::Duration;

fn bot(simex: &Simex, method: &str) -> reqwest::RequestBuilder {
    let token = &simex.config().telegram_token;
    http().post(format!("{}/bot{token}/{method}", simex.url(Double::Telegram)))
}

fn json_body(request: reqwest::RequestBuilder, body: &Value) -> reqwest::RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

#[tokio::test]
async fn the_market_list_has_caps_and_refuses_the_thirty_first_call() {
    let simex = Simex::start(frozen()).await.unwrap();
    let path = "/api/v3/coins/markets?vs_currency=usd&ids=bitcoin,tether";
    let (status, rows) = read(public(&simex, Double::Coingecko, path)).await;
    assert_eq!((status, rows.as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!((&rows[0]["id"], &rows[0]["symbol"]), (&"bitcoin".into(), &"btc".into()));
    assert!(rows[0]["market_cap"].as_f64().unwrap() > 1e12);
    for _ in 0..29 {
        assert_eq!(read(public(&simex, Double::Coingecko, "/api/v3/ping")).await.0, 200);
    }
    let refused = public(&simex, Double::Coingecko, path).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_bot_hears_its_user_once_and_answers() {
    let simex = Simex::start(still()).await.unwrap();
    let (_, me) = read(bot(&simex, "getMe")).await;
    assert_eq!(me["result"]["is_bot"], true);
    let asked = json_body(bot(&simex, "getUpdates"), &json!({"timeout": 20}));
    let poll = tokio::spawn(read(asked));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let update = simex.say(42, 42, "/status table");
    let (_, heard) = poll.await.unwrap();
    let message = &heard["result"][0]["message"];
    assert_eq!((&message["text"], &message["from"]["id"]), (&"/status table".into(), &42.into()));
    assert_eq!(message["entities"][0]["length"], 7);
    let confirmed = json!({"timeout": 0, "offset": update + 1});
    let (_, heard) = read(json_body(bot(&simex, "getUpdates"), &confirmed)).await;
    assert_eq!(heard["result"], json!([]));
    let said = json!({"chat_id": 42, "text": "fine"});
    let (_, sent) = read(json_body(bot(&simex, "sendMessage"), &said)).await;
    let edited =
        json!({"chat_id": 42, "message_id": sent["result"]["message_id"], "text": "better"});
    let (_, edited) = read(json_body(bot(&simex, "editMessageText"), &edited)).await;
    assert_eq!(edited["ok"], true);
    let form = "--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n42\r\n--x\r\nContent-Disposition: form-data; name=\"document\"; filename=\"status.txt\"\r\nContent-Type: text/plain\r\n\r\nall well\r\n--x--\r\n";
    let sent = bot(&simex, "sendDocument")
        .header("content-type", "multipart/form-data; boundary=x")
        .body(form);
    assert_eq!(read(sent).await.1["result"]["document"]["file_name"], "status.txt");
    let documents = simex.with(|world| world.telegram.sent.clone());
    assert_eq!(documents.last().unwrap().document.as_deref(), Some("all well"));
    assert_eq!(simex.sent_texts(), ["fine", "better", ""]);
}

#[tokio::test]
async fn a_webhook_of_a_stranger_is_a_conflict_until_it_is_deleted() {
    let simex = Simex::start(still()).await.unwrap();
    simex.with(|world| world.telegram.webhook = Some("https://example.org".to_owned()));
    let (status, answer) = read(bot(&simex, "getUpdates")).await;
    assert_eq!((status, &answer["error_code"]), (409, &409.into()));
    assert_eq!(read(bot(&simex, "deleteWebhook")).await.0, 200);
    assert_eq!(read(bot(&simex, "getUpdates")).await.0, 200);
    let wrong = http().post(format!("{}/bot1:x/getMe", simex.url(Double::Telegram)));
    assert_eq!(read(wrong).await.0, 401);
}

#[tokio::test]
async fn the_control_plane_does_what_the_library_does() {
    let simex = Simex::start(frozen()).await.unwrap();
    let base = simex.url(Double::Control);
    let post = async |path: &str, body: Value| {
        read(json_body(http().post(format!("{base}/_simex/{path}")), &body)).await
    };
    let get = async |path: &str| read(http().get(format!("{base}/_simex/{path}"))).await.1;
    let before = simex.now_ms();
    assert_eq!(post("advance", json!({"ms": 60_000})).await.0, 200);
    assert_eq!(simex.now_ms(), before + 60_000);
    assert_eq!(post("price", json!({"asset": "BTC", "factor": 0.5})).await.0, 200);
    assert_eq!(get("prices").await["BTC"], 30_000.0);
    let flow = json!({"venue": "okx", "asset": "ETH", "amount": "1.5"});
    assert_eq!(post("deposit", flow.clone()).await.0, 200);
    assert_eq!(get("balances/okx").await["ETH"]["free"], "1.5");
    assert_eq!(post("withdraw", flow.clone()).await.0, 200);
    assert_eq!(post("withdraw", flow).await.0, 400);
    let halt = json!({"venue": "binance", "market": "BTC/USDT", "status": "halted"});
    assert_eq!(post("market", halt).await.0, 200);
    assert_eq!(post("key", json!({"venue": "binance", "withdraw": true})).await.0, 200);
    let fault = json!({"double": "binance", "endpoint": "GET /api/v3/time", "when": "after", "action": {"status": {"code": 503}}});
    assert_eq!(post("faults", fault).await.0, 200);
    assert_eq!(read(public(&simex, Double::Binance, "/api/v3/time")).await.0, 503);
    assert_eq!(read(public(&simex, Double::Binance, "/api/v3/time")).await.0, 200);
    assert_eq!(get("faults").await[0]["struck"], 1);
    assert_eq!(get("counters").await["requests"]["binance"]["GET /api/v3/time"], 2);
    assert_eq!(get("oracle").await["venues"]["okx"]["faults"], json!([]));
}
