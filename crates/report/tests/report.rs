//! What a reader of a report relies on, over a run of the real cycle on a generated market.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, missing_docs)]

use keel_backtest::engine::{Scenario, equal_parts, moments, run_into, step};
use keel_core::amount::Money;
use keel_core::policy::{AssetPolicy, Policy, Settings};
use keel_core::strategy::{self, Params};
use keel_core::time::{Timeframe, Timestamp};
use keel_report::analysis::analysis;
use keel_report::attribution::attribution;
use keel_report::export::{self, tax};
use keel_report::recorder::Recorder;
use keel_report::story::Story;
use keel_sim::generate::{GeneratedAsset, GeneratedMarket, generate};
use keel_sim::memory::MemoryStore;
use keel_sim::models::CostModels;
use keel_sim::paper::PaperAccount;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

const HISTORY_DAYS: i64 = 60;

fn market(days: i64) -> GeneratedMarket {
    let asset = |ticker: &str, venue: &str, price: f64, supply: f64| GeneratedAsset {
        ticker: ticker.parse().unwrap(),
        venue: venue.parse().unwrap(),
        price,
        supply,
        beta: 1.0,
        own_volatility: 0.006,
    };
    GeneratedMarket {
        seed: 7,
        start: "2024-01-01".parse().unwrap(),
        hours: usize::try_from((HISTORY_DAYS + days) * 24).unwrap(),
        stablecoin: "USDT".parse().unwrap(),
        assets: vec![
            asset("BTC", "north", 40_000.0, 19e6),
            asset("ETH", "north", 2_000.0, 120e6),
            asset("SOL", "north", 100.0, 400e6),
            asset("XRP", "south", 0.6, 50e9),
        ],
    }
}

fn policy(market: &GeneratedMarket) -> Policy {
    let params = || Params::new(vec![20.0, 10.0, 1.5]);
    Policy {
        settings: Settings {
            max_alt_coin_ratio: 0.4,
            indicator_history_size: 300,
            ..Settings::default()
        },
        stablecoin: market.stablecoin.clone(),
        assets: market
            .assets
            .iter()
            .map(|asset| AssetPolicy {
                ticker: asset.ticker.clone(),
                level: if asset.ticker.as_str() == "BTC" { 1 } else { 2 },
                venue: asset.venue.clone(),
                coingecko_id: None,
                position_interval: Timeframe::H1,
                trend_interval: Timeframe::H4,
                strategy: strategy::find("keltner_channel").unwrap(),
                position_params: params(),
                trend_params: params(),
            })
            .collect(),
        parked: Vec::new(),
    }
}

/// A run of three weeks with fees, spread, impact and orders that are cut by the volume.
fn story() -> Story {
    let market = market(21);
    let tape = generate(&market).unwrap();
    let policy = policy(&market);
    let from: Timestamp = market.start.plus_ms(HISTORY_DAYS * Timeframe::D1.ms());
    let to = from.plus_ms(21 * Timeframe::D1.ms());
    let moments: Vec<Timestamp> = moments(from, to, step(&policy.assets)).collect();
    let mut account = PaperAccount::default();
    for (venue, amount) in equal_parts(Money::new(10_000.into()), &policy.venues()) {
        account.deposit(venue, &policy.stablecoin, amount);
    }
    let scenario = Scenario {
        title: "test".to_owned(),
        config_fingerprint: String::new(),
        data_fingerprint: String::new(),
        deployment: "test".to_owned(),
        policy: &policy,
        tape: &tape,
        moments: &moments,
        costs: CostModels::default(),
        account,
        deposits: vec![keel_backtest::Deposit {
            at: from.plus_ms(9 * Timeframe::D1.ms()),
            amount: Money::new(500.into()),
        }],
        data_notes: Vec::new(),
    };
    let story = Story::new("test", "backtest", &policy);
    let mut recorder = Recorder::<MemoryStore>::new(story, None);
    run_into(&scenario, &mut recorder, &mut |_| {}).unwrap();
    let mut story = recorder.story;
    story.benchmarks = keel_report::benchmark::from_records(&story, 0.0012);
    story
}

#[test]
fn the_parts_add_up_to_the_result_to_the_last_digit() {
    let story = story();
    assert!(story.orders.len() > 50, "{} orders", story.orders.len());
    let found = attribution(&story).unwrap();
    let sum: Decimal = found.parts.iter().map(|part| part.value).sum();
    assert_eq!(sum, found.total);
    assert_eq!(found.total, found.end - found.start - found.flows);
    assert_eq!(found.flows.round_dp(6), Decimal::from(500), "the deposit is no gain");
    let remainder = found.parts.last().unwrap().value;
    assert!(remainder.abs() < Decimal::new(1, 4), "only roundings remain, not {remainder}");
    let part = |name: &str| found.parts.iter().find(|part| part.name == name).unwrap().value;
    assert!(part("fees").is_sign_negative() && part("slippage").is_sign_negative());
    let paid = part("fees") + part("slippage") + part("direct pairs");
    assert!((paid + found.fees_paid + found.slippage_paid).abs() < Decimal::new(1, 6));
}

#[test]
fn the_assets_and_the_months_add_up_too() {
    let story = story();
    let (found, whole) = (analysis(&story), attribution(&story).unwrap());
    let net: Decimal = found.assets.iter().map(|asset| asset.net).sum();
    assert!((net - whole.total).abs() < Decimal::new(1, 4), "{net} {}", whole.total);
    let gains: Decimal = found.months.iter().map(|month| month.gain).sum();
    assert_eq!(gains, whole.total);
    let of_kind = found.stable.orders + found.direct.paid.orders;
    let by_why: u64 = found.why.iter().map(|row| row.costs.orders).sum();
    assert_eq!(of_kind, by_why);
}

#[test]
fn the_page_needs_nothing_outside_it_and_texts_stay_texts() {
    let mut story = story();
    story.title = "<script>alert('x')</script>".to_owned();
    story.notes.push("a note <img src=x onerror=alert(1)>".to_owned());
    story.facts.push(("<b>key".to_owned(), "\"value\" & more".to_owned()));
    let html = keel_report::html::page(&story);
    for outside in ["http://", "https://", "<script", "<link", "<img", "src=x", "url(", "@import"] {
        let found = html.find(outside).map(|at| &html[at..(at + 60).min(html.len())]);
        assert!(found.is_none() || outside == "src=x", "{outside}: {found:?}");
    }
    assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    for section in ["equity", "months", "weights", "attribution", "costs", "assets", "honesty"] {
        assert!(html.contains(&format!("<section id={section}>")), "{section} is missing");
    }
    let empty = Story { cycles: Vec::new(), orders: Vec::new(), ..story };
    assert!(keel_report::html::page(&empty).contains("no finished cycle yet"));
}

#[test]
fn every_file_is_written_and_the_picture_is_a_png() {
    let place = tempfile::tempdir().unwrap();
    let files = keel_report::write(&place.path().join("report"), &story()).unwrap();
    assert_eq!(files.len(), 10);
    let png = std::fs::read(&files[1]).unwrap();
    assert_eq!(&png[1..4], b"PNG");
    for file in &files {
        assert!(std::fs::metadata(file).unwrap().len() > 100, "{}", file.display());
    }
}

fn rows(csv: &[u8]) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv);
    reader.deserialize().map(Result::unwrap).collect()
}

/// The balances that a program makes from an export, starting from nothing.
fn balances(story: &Story, format: &str) -> BTreeMap<String, Decimal> {
    let mut held: BTreeMap<String, Decimal> = BTreeMap::new();
    let csv = tax::csv(story, tax::find(format).unwrap()).unwrap();
    let mut add = |asset: &str, amount: &str, sign: i64| {
        if !asset.is_empty() {
            *held.entry(asset.to_owned()).or_default() +=
                amount.parse::<Decimal>().unwrap() * Decimal::from(sign);
        }
    };
    for row in rows(&csv) {
        let (received, sent, fee) = match format {
            "koinly" => ("Received", "Sent", Some("Fee")),
            _ => ("Buy", "Sell", None),
        };
        add(&row[&format!("{received} Currency")], &row[&format!("{received} Amount")], 1);
        add(&row[&format!("{sent} Currency")], &row[&format!("{sent} Amount")], -1);
        if let Some(fee) = fee {
            add(&row[&format!("{fee} Currency")], &row[&format!("{fee} Amount")], -1);
        }
    }
    held
}

#[test]
fn tax_exports_lead_to_the_balances_that_the_account_has() {
    let story = story();
    let (koinly, cointracking) = (balances(&story, "koinly"), balances(&story, "cointracking"));
    assert_eq!(koinly, cointracking);
    // The last cycle's rows show what was held before its orders; there were none of them left.
    let last = story.cycles.last().unwrap();
    let later: Vec<_> =
        story.orders.iter().filter(|order| order.intent.cycle == last.number).collect();
    for (asset, row) in story.assets.iter().zip(&last.rows) {
        let touched = later.iter().any(|order| {
            let symbol = &order.order().symbol;
            symbol.base.as_str() == asset.ticker || symbol.quote.as_str() == asset.ticker
        });
        if !touched {
            let held = koinly.get(&asset.ticker).copied().unwrap_or_default();
            assert_eq!(held, row.free, "{}", asset.ticker);
        }
    }
    let direct = story.orders.iter().find(|order| order.order().kind.name() == "direct").unwrap();
    let csv = tax::csv(&story, tax::find("ledger").unwrap()).unwrap();
    let row = rows(&csv)
        .into_iter()
        .find(|row| row["order_id"] == direct.intent.id.as_str())
        .expect("a direct order is one row");
    assert!(row["received_asset"] != "USDT" && row["sent_asset"] != "USDT");
}

#[test]
fn csv_and_parquet_hold_the_same_rows() {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let story = story();
    for table in [
        export::equity(&story),
        export::daily(&story),
        export::weights(&story),
        export::trades(&story),
    ] {
        let lines = rows(&table.csv().unwrap()).len();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("table.parquet");
        std::fs::write(&path, table.parquet().unwrap()).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let read: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(read, lines);
        assert!(lines > 0);
    }
}
