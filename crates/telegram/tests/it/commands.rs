//! What an operator types, and what comes back.

use crate::double::{Double, Fault, TOKEN, USER, pressed, typed, waiting};
use keel_telegram::{Answer, Command, Document, Event, EventKind, Loudness};
use std::time::Duration;

#[tokio::test]
async fn a_command_reaches_the_daemon_and_its_answer_the_chat() {
    let double = Double::start().await;
    let mut handle = double.listening(double.settings()).await;
    double.add(typed(1, USER, "/status table"));
    let request = handle.commands.recv().await.unwrap();
    assert_eq!(request.command, Command::Status { table: true });
    assert_eq!(request.user_id, USER);
    request.answer(
        Answer::text("worth 1 < 2")
            .and_table("BTC  1\nETH  2")
            .and_document(Document::bytes("status.json", "{}")),
    );
    let texts = double.wait_for_texts(2).await;
    assert_eq!(texts, ["worth 1 &lt; 2", "<pre>BTC  1\nETH  2</pre>"]);
    double
        .wait(|double| double.books.lock().unwrap().calls.iter().any(|(m, _)| m == "SendDocument"))
        .await;
}

#[tokio::test]
async fn help_and_mistakes_are_answered_without_the_daemon() {
    let double = Double::start().await;
    let mut handle = double.listening(double.settings()).await;
    double.add(typed(1, USER, "/help"));
    double.add(typed(2, USER, "/forceexit all"));
    let texts = double.wait_for_texts(2).await;
    assert!(texts[0].contains("/rebalance: distribute now"), "{texts:?}");
    assert!(texts[1].contains("/help"), "{texts:?}");
    assert!(waiting(&mut handle).is_none());
}

#[tokio::test]
async fn a_rebalance_needs_a_confirmation_that_is_good_once() {
    let double = Double::start().await;
    let mut handle = double.listening(double.settings()).await;
    double.add(typed(1, USER, "/rebalance"));
    let texts = double.wait_for_texts(1).await;
    let code = texts[0].split_once("/rebalance ").unwrap().1[..8].to_owned();
    assert!(waiting(&mut handle).is_none(), "not before it is confirmed");
    let data = format!("rebalance:{code}");
    double.add(pressed(2, USER + 1, i64::try_from(USER).unwrap(), &data));
    double.add(pressed(3, USER, i64::try_from(USER).unwrap(), &data));
    assert_eq!(handle.commands.recv().await.unwrap().command, Command::Rebalance);
    double.add(typed(4, USER, &format!("/rebalance {code}")));
    double
        .wait(|double| double.texts().iter().any(|text| text.contains("not good any more")))
        .await;
    assert!(waiting(&mut handle).is_none());
}

#[tokio::test]
async fn events_are_loud_silent_or_not_sent_as_configured() {
    let double = Double::start().await;
    let mut settings = double.settings();
    settings.notifications =
        [(EventKind::Fill, Loudness::Off), (EventKind::Startup, Loudness::Silent)].into();
    settings.allowed_user_ids.clear();
    let handle = keel_telegram::start(settings).unwrap();
    for kind in EventKind::ALL {
        handle.notifier.notify(Event::new(kind, kind.name()));
    }
    handle.notifier.flush(Duration::from_secs(20)).await;
    let texts = double.texts();
    assert_eq!(texts.len(), EventKind::ALL.len() - 1, "{texts:?}");
    assert!(!texts.contains(&"<b>fill</b>".to_owned()));
    let books = double.books.lock().unwrap();
    for (_, call) in &books.calls {
        let is_silent = call["disable_notification"].as_bool().unwrap();
        assert_eq!(is_silent, call["text"] == "<b>startup</b>", "{call}");
    }
    assert_eq!(books.polls, 0, "without allowed users nobody listens");
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_whatever_telegram_tells_of_it() {
    let double = Double::start().await;
    let mut settings = double.settings();
    settings.allowed_user_ids.clear();
    double.fault("SendMessage", Fault::Body(r#"{"ok":true,"result":{"of":"another version"}}"#));
    let handle = keel_telegram::start(settings).unwrap();
    handle.notifier.notify(Event::new(EventKind::Halt, "first"));
    handle.notifier.notify(Event::new(EventKind::Halt, "second"));
    handle.notifier.flush(Duration::from_secs(20)).await;
    assert_eq!(double.texts(), ["<b>second</b>"]);
}

#[tokio::test]
async fn a_file_that_is_empty_or_gone_is_answered_in_words_and_left_out_of_reports() {
    let double = Double::start().await;
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("empty"), "").unwrap();
    let mut handle = double.listening(double.settings()).await;
    let file = |name: &str| Document::file_tail("keel.log", place.path().join(name), 100);
    for (id, (name, words)) in (1..).zip([("empty", "is empty"), ("gone", "cannot be read (")]) {
        double.add(typed(id, USER, "/logs"));
        let request = handle.commands.recv().await.unwrap();
        request.answer(Answer::default().and_document(file(name)));
        let texts = double.wait_for_texts(id as usize).await;
        assert!(texts[id as usize - 1].starts_with(&format!("keel.log {words}")), "{texts:?}");
    }
    let cycle = Event::new(EventKind::Cycle, "a cycle");
    handle.notifier.notify(cycle.document(file("empty")).document(file("gone")));
    handle.notifier.notify(Event::new(EventKind::Halt, "the next"));
    handle.notifier.flush(Duration::from_secs(20)).await;
    assert_eq!(&double.texts()[2..], ["<b>a cycle</b>", "<b>the next</b>"]);
}

#[tokio::test]
async fn without_an_answer_the_user_is_told_to_wait() {
    let double = Double::start().await;
    let mut settings = double.settings();
    settings.limits.answer_timeout = Duration::from_millis(1);
    let mut handle = double.listening(settings).await;
    double.add(typed(1, USER, "/stop"));
    let request = handle.commands.recv().await.unwrap();
    assert!(double.wait_for_texts(1).await[0].contains("the answer follows"));
    request.answer(Answer::text("stopped"));
    assert_eq!(double.wait_for_texts(2).await[1], "stopped");
}

#[tokio::test]
async fn a_probe_tells_the_bot_or_what_is_wrong_without_the_token() {
    let double = Double::start().await;
    let bot = keel_telegram::probe(&double.settings()).await.unwrap();
    assert_eq!((bot.name.as_str(), bot.has_webhook), ("@keel_bot", false));
    for (method, code, words) in [
        ("GetChat", 400, "Bad Request: chat not found"),
        ("SendChatAction", 403, "Forbidden: bot was blocked by the user"),
    ] {
        double.fault(method, Fault::Api(code, words));
        let error = keel_telegram::probe(&double.settings()).await.unwrap_err();
        assert!(error.starts_with("@keel_bot cannot write to the chat: "), "{error}");
        assert!(error.contains(words) && error.contains("press Start"), "{error}");
    }
    double.fault("GetWebhookInfo", Fault::Body(r#"{"ok":true,"result":{"url":"https://x"}}"#));
    assert!(keel_telegram::probe(&double.settings()).await.unwrap().has_webhook);
    assert!(double.texts().is_empty(), "nothing is sent");
    double.fault("GetMe", Fault::Api(401, "Unauthorized"));
    let error = keel_telegram::probe(&double.settings()).await.unwrap_err();
    assert_eq!(error, "Telegram does not know the token of the bot");
    double.fault("GetMe", Fault::Api(400, TOKEN));
    let error = keel_telegram::probe(&double.settings()).await.unwrap_err();
    assert_eq!(error, "Telegram refused: [redacted]");
    let mut nobody = double.settings();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    nobody.api_url = Some(format!("http://{closed}").parse().unwrap());
    let error = keel_telegram::probe(&nobody).await.unwrap_err();
    assert_eq!(error, "Telegram cannot be reached: no connection");
}

#[tokio::test]
async fn the_token_goes_to_public_servers_over_https_and_to_this_computer_only() {
    let double = Double::start().await;
    let mut settings = double.settings();
    for inside in ["http://api.telegram.org", "https://10.0.0.5", "ftp://127.0.0.1", "unix:/x"] {
        settings.api_url = Some(inside.parse().unwrap());
        let error = keel_telegram::start(settings.clone()).unwrap_err();
        assert!(error.to_string().starts_with("telegram.api_url: "), "{error}");
    }
    settings.api_url = Some("https://bots.example.com/path/".parse().unwrap());
    assert!(keel_telegram::start(settings).is_ok());
}

#[test]
fn neither_settings_nor_their_errors_show_the_token() {
    let settings = keel_telegram::Settings {
        token: format!("{TOKEN} "),
        chat_id: "1".to_owned(),
        api_url: None,
        allowed_user_ids: Default::default(),
        notifications: Default::default(),
        offset_file: None,
        limits: Default::default(),
    };
    assert!(!format!("{settings:?}").contains("AAHdqTcv"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async { keel_telegram::start(settings) }).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("AAHdqTcv"));
    assert!(error.to_string().contains("docs/telegram.md"));
}
