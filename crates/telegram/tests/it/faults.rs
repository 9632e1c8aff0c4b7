//! The faults of the catalogue that concern Telegram.

use crate::double::{Double, Fault, GROUP, TOKEN, USER, now, offset_file, pressed, typed, waiting};
use keel_telegram::{Command, Event, EventKind, start};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn f083_an_answer_without_an_end_is_an_outage_and_not_read_into_memory() {
    let double = Double::start().await;
    let mut handle = double.listening(double.settings()).await;
    for length in [None, Some(2 << 30)] {
        double.books.lock().unwrap().endless_bytes = 0;
        double.fault("GetMe", Fault::Endless(length));
        let error = keel_telegram::probe(&double.settings()).await.unwrap_err();
        assert_eq!(error, "Telegram cannot be reached: the answer is longer than 8 MiB");
        double.fault("GetUpdates", Fault::Endless(length));
        double.fault("SendMessage", Fault::Endless(length));
        handle.notifier.notify(Event::new(EventKind::Halt, "told after all"));
        handle.notifier.flush(Duration::from_secs(20)).await;
        // Three answers of 8 MiB, and what lies in the buffers of sockets.
        let bytes = double.books.lock().unwrap().endless_bytes;
        assert!(bytes < 64 << 20, "{bytes} bytes were taken");
    }
    assert_eq!(double.texts(), ["<b>told after all</b>"; 2]);
    double.add(typed(1, USER, "/stop"));
    assert_eq!(handle.commands.recv().await.unwrap().command, Command::Stop);
}

#[tokio::test]
async fn f088_only_allowed_users_in_allowed_chats_with_their_own_words_are_obeyed() {
    let double = Double::start().await;
    let mut settings = double.settings();
    settings.chat_id = GROUP.to_string();
    let mut handle = double.listening(settings).await;
    let group = |title: &str, id: i64| json!({ "id": id, "type": "supergroup", "title": title });
    let change = |id: u32, change: &dyn Fn(&mut Value)| {
        let mut update = typed(id, USER, "/stop");
        change(&mut update["message"]);
        double.add(update);
    };
    let stranger = USER + 1;
    double.add(typed(1, stranger, "/stop"));
    // Another user in the allowed group, with the owner's user name.
    change(2, &|message| {
        message["from"]["id"] = json!(stranger);
        message["chat"] = group("Ours", GROUP);
    });
    change(3, &|message| message["chat"] = group("Theirs", GROUP - 1));
    change(4, &|message| {
        message["forward_origin"] = json!({ "type": "user", "date": now(),
            "sender_user": { "id": USER, "is_bot": false, "first_name": "A" } });
    });
    change(5, &|message| message["edit_date"] = json!(now()));
    change(6, &|message| message["sender_chat"] = group("Ours", GROUP));
    change(7, &|message| message["from"]["is_bot"] = json!(true));
    change(8, &|message| {
        message["via_bot"] = json!({ "id": 1, "is_bot": true, "first_name": "B" });
    });
    for (id, kind) in [(9, "edited_message"), (10, "channel_post"), (11, "edited_channel_post")] {
        let mut update = typed(id, USER, "/stop");
        let message = update["message"].take();
        double.add(json!({ "update_id": id, kind: message }));
    }
    double.add(pressed(12, stranger, GROUP, "rebalance:00000000"));
    double.add(json!({ "update_id": 13, "message": { "unknown": true } }));
    double.wait_for_polls(4).await;
    assert!(waiting(&mut handle).is_none());
    assert!(double.texts().is_empty(), "strangers get no answer: {:?}", double.texts());
    // The owner is obeyed in private and in the group.
    double.add(typed(14, USER, "/stop"));
    assert_eq!(handle.commands.recv().await.unwrap().command, Command::Stop);
    change(15, &|message| {
        message["text"] = json!("/pause@keel_bot");
        message["chat"] = group("Ours", GROUP);
    });
    assert_eq!(handle.commands.recv().await.unwrap().command, Command::Pause);
}

#[tokio::test]
async fn f089_old_repeated_and_waiting_updates_are_not_obeyed() {
    let double = Double::start().await;
    let (_place, path) = offset_file();
    let mut settings = double.settings();
    settings.offset_file = Some(path.clone());
    // Waiting since before the start, although fresh.
    double.add(typed(1, USER, "/stop"));
    double.add(typed(2, USER, "/stop"));
    let mut handle = double.listening(settings.clone()).await;
    let mut old = typed(3, USER, "/stop");
    old["message"]["date"] = json!(now() - 24 * 3600);
    double.add(old);
    let mut future = typed(4, USER, "/stop");
    future["message"]["date"] = json!(now() + 3600);
    double.add(future);
    double.wait_for_polls(3).await;
    assert!(waiting(&mut handle).is_none());
    // The same update again and again, whatever offset is asked for.
    double.books.lock().unwrap().repeats = true;
    double.add(typed(5, USER, "/pause"));
    assert_eq!(handle.commands.recv().await.unwrap().command, Command::Pause);
    double.wait_for_polls(3).await;
    assert!(waiting(&mut handle).is_none());
    drop(handle);
    // A second start with the remembered number, and one that lost it.
    for file in [Some(path), None] {
        settings.offset_file = file;
        let mut again = double.listening(settings.clone()).await;
        double.wait_for_polls(3).await;
        assert!(waiting(&mut again).is_none());
    }
}

#[tokio::test]
async fn f090_a_second_reader_or_a_webhook_ends_commands_but_not_messages() {
    const OTHER: &str = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
    const WEBHOOK: &str = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
    for description in [OTHER, WEBHOOK] {
        let double = Double::start().await;
        let mut handle = double.listening(double.settings()).await;
        for _ in 0..2 {
            double.fault("GetUpdates", Fault::Api(409, description));
        }
        let texts = double.wait_for_texts(1).await;
        assert!(texts[0].contains("commands are off"), "{texts:?}");
        assert!(texts[0].contains("revoke the token"), "{texts:?}");
        double.add(typed(1, USER, "/stop"));
        handle.notifier.notify(Event::new(EventKind::Halt, "still told"));
        assert_eq!(double.wait_for_texts(2).await[1], "<b>still told</b>");
        assert!(waiting(&mut handle).is_none());
    }
}

#[tokio::test]
async fn f090_commands_come_back_when_nobody_else_reads_the_bot_any_more() {
    const OTHER: &str = "Conflict: terminated by other getUpdates request";
    let double = Double::start().await;
    let mut settings = double.settings();
    settings.limits.conflict_pause = Duration::from_millis(200);
    let mut handle = double.listening(settings).await;
    // Two, and then those of two looks whether it still is so.
    for _ in 0..4 {
        double.fault("GetUpdates", Fault::Api(409, OTHER));
    }
    double.wait_for_texts(1).await;
    // What was said meanwhile is old by the time it is read.
    double.add(typed(1, USER, "/stop"));
    let texts = double.wait_for_texts(2).await;
    assert!(texts[0].contains("commands are off"), "{texts:?}");
    assert_eq!(texts[1], "<b>Telegram commands are on again</b>");
    assert!(waiting(&mut handle).is_none());
    double.add(typed(2, USER, "/pause"));
    assert_eq!(handle.commands.recv().await.unwrap().command, Command::Pause);
    assert_eq!(double.texts().len(), 2, "told once");
}

#[tokio::test]
async fn f091_an_outage_neither_blocks_nor_grows_and_what_was_dropped_is_told() {
    let double = Double::start().await;
    let mut settings = double.settings();
    settings.allowed_user_ids.clear();
    // Nobody listens at this address.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut away = settings.clone();
    away.api_url = Some(format!("http://{nobody}").parse().unwrap());
    let handle = start(away).unwrap();
    for i in 0..10_000 {
        handle.notifier.notify(Event::new(EventKind::Fill, format!("fill {i}")));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(handle.notifier.pending() <= 65, "{:?}", handle.notifier);
    handle.notifier.flush(Duration::from_millis(1)).await;

    // 429 and answers that are none are tried again, and nothing is lost.
    double.fault("SendMessage", Fault::RetryAfter(1));
    double.fault("SendMessage", Fault::Body("<html>502 Bad Gateway</html>"));
    double.fault("SendMessage", Fault::Body(""));
    double.fault("SendMessage", Fault::Api(500, "Internal Server Error"));
    let handle = start(settings.clone()).unwrap();
    for i in 0..100 {
        handle.notifier.notify(Event::new(EventKind::Fill, format!("fill {i}")));
    }
    handle.notifier.notify(Event::new(EventKind::Halt, "halt"));
    handle.notifier.flush(Duration::from_secs(20)).await;
    let texts = double.texts();
    assert!(texts[0].starts_with("<b>37 messages were dropped"), "{texts:?}");
    assert_eq!(texts.len(), 65, "{texts:?}");
    assert_eq!(texts[64], "<b>halt</b>");

    // What is too old is dropped with a count.
    let double = Double::start().await;
    settings.api_url = double.settings().api_url;
    settings.limits.event_age_max = Duration::from_millis(300);
    double.fault("SendMessage", Fault::RetryAfter(1));
    let handle = start(settings).unwrap();
    handle.notifier.notify(Event::new(EventKind::Error, "old"));
    let texts = double.wait_for_texts(1).await;
    assert_eq!(
        texts,
        ["<b>1 message was dropped while Telegram could not be reached</b>\nThe log has them all."]
    );
}

#[tokio::test]
async fn f092_markup_in_names_and_errors_is_shown_and_refused_markup_is_sent_plain() {
    let double = Double::start().await;
    let mut settings = double.settings();
    settings.allowed_user_ids.clear();
    let handle = start(settings).unwrap();
    let nasty = "<a href=\"http://evil\">BTC</a> & </b><script>";
    handle.notifier.notify(Event::new(EventKind::Error, nasty).body(nasty));
    handle.notifier.flush(Duration::from_secs(20)).await;
    let shown =
        "&lt;a href=&quot;http://evil&quot;&gt;BTC&lt;/a&gt; &amp; &lt;/b&gt;&lt;script&gt;";
    assert_eq!(double.texts(), [format!("<b>{shown}</b>\n{shown}")]);

    double.fault(
        "SendMessage",
        Fault::Api(400, "Bad Request: can't parse entities: Unsupported start tag"),
    );
    handle.notifier.notify(Event::new(EventKind::Error, "1 < 2"));
    handle.notifier.flush(Duration::from_secs(20)).await;
    assert_eq!(double.texts()[1], "1 < 2");
    let books = double.books.lock().unwrap();
    assert!(books.calls[1].1.get("parse_mode").is_none());
    assert!(!books.calls.iter().any(|(_, call)| call.to_string().contains(TOKEN)));
}
