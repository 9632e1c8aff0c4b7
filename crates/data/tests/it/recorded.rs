//! The recorded data, where it is available. No figure of it is kept here except counts and levels
//! that its description states.

use crate::support::{bar, shared};
use keel_core::asset::{Symbol, Ticker, VenueId};
use keel_core::candle::{Candle, CandleSeries};
use keel_core::resample::resample;
use keel_core::time::{Timeframe, Timestamp};
use keel_data::{
    CandleStore, ImportOptions, find_caps, import, read_binance_exchange_info, read_candles,
    read_caps, write_parquet,
};
use std::fs;
use tempfile::TempDir;

fn market(venue: &str, symbol: &str) -> (VenueId, Symbol) {
    (venue.parse().unwrap(), symbol.parse().unwrap())
}

#[test]
fn every_recorded_file_is_clean() {
    let Some(root) = shared("data") else { return };
    let store = CandleStore::at(&root);
    let listing = store.list().unwrap();
    for file in &listing.files {
        assert_eq!(file.bad_rows, 0, "{}", file.path.display());
    }
    // Gold futures are called GC_F there, which is no ticker; their file must be clean all the same.
    let futures = root.join("ohlcv/yahoo/GC_F-USD");
    assert_eq!((listing.ignored, listing.unreadable.len()), (vec![futures.clone()], 0));
    let futures = read_candles(&futures.join("1d.parquet")).unwrap();
    CandleSeries::new(Timeframe::D1, &futures).unwrap();

    assert_eq!(listing.files.len() + 1, 182);
    let rows: usize = listing.files.iter().map(|file| file.rows).sum();
    assert_eq!(rows + futures.len(), 2_544_983);
    let bitcoin =
        listing.files.iter().find(|f| f.path.ends_with("binance/BTC-USDT/1h.parquet")).unwrap();
    assert_eq!((bitcoin.rows, bitcoin.gaps, bitcoin.missing_bars), (61_596, 28, 128));
    assert_eq!(bitcoin.zero_volume_bars, 4);
    let (venue, symbol) = market("binance", "BTC/USDT");
    assert!(store.verify(&venue, &symbol, Timeframe::H1).unwrap().is_clean());
}

/// Gathers the finer bars of BTC/USDT and gives the starts of those that differ from the coarser
/// bars, which were recorded independently. `None` without the data.
fn differing(from: Timeframe, to: Timeframe) -> Option<Vec<String>> {
    let store = CandleStore::at(&shared("data")?);
    let (venue, symbol) = market("binance", "BTC/USDT");
    let fine = store.load(&venue, &symbol, from).unwrap().series;
    let recorded = store.load(&venue, &symbol, to).unwrap().series;
    let built = resample(&fine, to).unwrap().series;
    assert!(built.len() > 14_000, "{}", built.len());
    let differs = |bar: &Candle| {
        // A coarser bar that is not recorded at all would be a difference too.
        let Ok(row) = recorded.open_time_ms().binary_search(&bar.open_time_ms) else { return true };
        let known = recorded.get(row).unwrap();
        let prices = |c: &Candle| [c.open, c.high, c.low, c.close].map(f64::to_bits);
        // Volumes were added up in another order there.
        let volume_off = (bar.volume - known.volume).abs() > 1e-9 * known.volume.max(1.0);
        prices(bar) != prices(&known) || volume_off
    };
    let start = |bar: Candle| Timestamp::from_ms(bar.open_time_ms).to_string();
    Some(built.iter().filter(differs).map(start).collect())
}

#[test]
fn hours_make_the_recorded_four_hours() {
    // The venue's own 4h bar after the outage of that day leaves out an hour without any trade.
    if let Some(differing) = differing(Timeframe::H1, Timeframe::H4) {
        assert_eq!(differing, ["2023-03-24T12:00:00Z"]);
    }
}

#[test]
fn quarters_make_the_recorded_hours() {
    if let Some(differing) = differing(Timeframe::M15, Timeframe::H1) {
        assert_eq!(differing, [""; 0]);
    }
}

#[test]
fn recorded_cases_of_freqtrade_are_read() {
    let Some(root) = shared("cases/freqtrade/data") else { return };
    let mut read = 0;
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let rows = read_candles(&path).unwrap();
        assert!(rows.len() > 1000, "{}", path.display());
        read += 1;
    }
    assert_eq!(read, 10);
}

#[test]
fn a_recorded_file_survives_export_and_import() {
    let Some(root) = shared("data") else { return };
    let (venue, symbol) = market("binance", "ETH/BTC");
    let source = CandleStore::at(&root).path(&venue, &symbol, Timeframe::H1);
    let target = TempDir::new().unwrap();
    let report =
        import(&source, &venue, &symbol, None, target.path(), ImportOptions::default()).unwrap();
    assert_eq!((report.timeframe, report.was_sorted, report.conflicts), (Timeframe::H1, false, 0));
    assert_eq!(read_candles(&report.path).unwrap(), read_candles(&source).unwrap());
}

#[test]
fn our_parquet_has_the_columns_of_the_recorded_files() {
    let Some(root) = shared("data") else { return };
    let (venue, symbol) = market("binance", "ETH/BTC");
    let recorded = CandleStore::at(&root).path(&venue, &symbol, Timeframe::H1);
    let directory = TempDir::new().unwrap();
    let ours = directory.path().join("x.parquet");
    write_parquet(&ours, &[bar(0, 1.0)]).unwrap();
    let columns = |path: &std::path::Path| -> Vec<String> {
        let file = fs::File::open(path).unwrap();
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let fields = reader.schema().fields().iter();
        fields.map(|f| format!("{} {} {}", f.name(), f.data_type(), f.is_nullable())).collect()
    };
    assert_eq!(columns(&ours), columns(&recorded));
}

#[test]
fn recorded_capitalisations_are_read() {
    let Some(root) = shared("data") else { return };
    let mut read = 0;
    for entry in fs::read_dir(root.join("marketcap")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let ticker: Ticker = name.split('.').next().unwrap().parse().unwrap();
        let caps = read_caps(&find_caps(&root, &ticker).unwrap()).unwrap();
        assert!(caps.points().len() > 100, "{ticker}");
        read += 1;
    }
    assert_eq!(read, 24);
}

#[test]
fn the_recorded_binance_markets_are_read() {
    let path = "data/exchange_responses/binance/v3_exchangeInfo_full_2024-09-08.json.gz";
    let Some(path) = shared(path) else { return };
    let list = read_binance_exchange_info(&path).unwrap();
    assert_eq!((list.markets.len(), list.skipped.len()), (1248, 0));
    assert!(list.markets.iter().all(|market| market.active && market.amount_step.is_positive()));
    let ether = list.markets.iter().find(|m| m.symbol.to_string() == "ETH/BTC").unwrap();
    assert_eq!(ether.amount_step.to_string(), "0.0001");
    assert_eq!(ether.max_amount.unwrap().to_string(), "2255.71583723");
    assert_eq!(ether.min_cost.to_string(), "0.0001");
}
