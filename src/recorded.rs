//! A run as a story, read back from its journal, with what its tape adds: channels and notes.

use crate::exit::{Code, Failure};
use crate::journal::{CycleRow, DecisionRow, FillRow, Folded, Reader, TradeRow};
use crate::simulation::{cost_models, settings_fingerprint};
use keel_backtest::run::Run;
use keel_config::Config;
use keel_core::amount::{Money, Price, Qty};
use keel_core::candle::Window;
use keel_core::order::{ClientOrderId, Fee, Fill, Intent, Outcome, PlannedOrder};
use keel_core::signal::Signal;
use keel_core::strategy::keltner_params;
use keel_core::time::Timestamp;
use keel_report::benchmark;
use keel_report::story::{Benchmark, Channel, Row, Story};
use keel_sim::tape::Tape;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;

/// Bars of a channel that are kept; a report draws the last few hundred.
const CHANNEL_BARS: usize = 300;

/// From when to when; open ends reach as far as the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First moment.
    pub from: Option<Timestamp>,
    /// Moments from here on are left out.
    pub to: Option<Timestamp>,
}

impl Span {
    /// Whether a moment lies in it.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to)
    }
}

fn damaged(path: &Path, what: &str, seen: &str) -> Failure {
    Failure::new(
        Code::BadState,
        format!(
            "{}: {what} is `{seen}`, which cannot be read; restore the journal from a backup",
            path.display()
        ),
    )
}

/// Reads texts of one journal, and names it when they are not what they should be.
#[derive(Clone, Copy)]
struct Texts<'a>(&'a Path);

impl Texts<'_> {
    fn number(self, what: &str, text: &str) -> Result<Decimal, Failure> {
        text.parse().map_err(|_| damaged(self.0, what, text))
    }

    fn name<T: std::str::FromStr>(self, what: &str, text: &str) -> Result<T, Failure> {
        text.parse().map_err(|_| damaged(self.0, what, text))
    }

    fn word<T: DeserializeOwned>(self, what: &str, text: &str) -> Result<T, Failure> {
        serde_json::from_value(text.into()).map_err(|_| damaged(self.0, what, text))
    }

    fn row(self, decision: &DecisionRow) -> Result<Row, Failure> {
        let signal = |value: i8| Signal::try_from(f64::from(value)).unwrap_or_default();
        let price = match decision.price.as_str() {
            "" => None,
            text => Some(self.number("a price", text)?),
        };
        Ok(Row {
            price,
            free: self.number("an amount", &decision.free)?,
            market_cap: decision.market_cap.parse().ok(),
            position: signal(decision.position),
            trend: signal(decision.trend),
            ratio: self.number("a weight", &decision.ratio)?,
            capped: decision.flags.split(' ').any(|flag| flag == "capped"),
        })
    }

    fn intent(self, trade: &TradeRow, leg: u32) -> Result<Intent, Failure> {
        Ok(Intent {
            id: self.word::<ClientOrderId>("an order's name", &trade.id)?,
            cycle: trade.cycle,
            leg,
            order: PlannedOrder {
                kind: self.word("a kind of order", &trade.kind)?,
                venue: self.name("a venue", &trade.venue)?,
                symbol: self.name("a market", &trade.symbol)?,
                side: self.word("a side", &trade.side)?,
                amount: Qty::new(self.number("an amount", &trade.amount)?),
                value: Money::new(self.number("a value", &trade.value)?),
            },
            reference_price: Price::new(self.number("a price", &trade.reference_price)?),
            created_at: Timestamp::from_ms(trade.at_ms),
        })
    }

    fn fill(self, fill: &FillRow) -> Result<Fill, Failure> {
        Ok(Fill {
            trade_id: fill.trade_id.clone(),
            price: Price::new(self.number("a price", &fill.price)?),
            amount: Qty::new(self.number("an amount", &fill.amount)?),
            cost: self.number("a cost", &fill.cost)?,
            fee: Fee {
                asset: self.name("a fee's asset", &fill.fee_asset)?,
                amount: Qty::new(self.number("a fee", &fill.fee_amount)?),
            },
            at: Timestamp::from_ms(fill.at_ms),
        })
    }
}

fn outcome(trade: &TradeRow, fills: Vec<Fill>) -> Outcome {
    match trade.outcome.as_str() {
        "filled" => Outcome::Filled { fills },
        "partial" => Outcome::Partial { fills },
        "rejected" => Outcome::Rejected { reason: trade.detail.clone() },
        _ => Outcome::Unknown { cause: trade.detail.clone() },
    }
}

/// Reads the cycles of `span` from the journal at `path`.
///
/// # Errors
/// When there is no journal, or something in it cannot be read.
pub fn story(config: &Config, path: &Path, span: Span) -> Result<Story, Failure> {
    let reader = Reader::open(path)?;
    let texts = Texts(path);
    let kind = reader.mode()?;
    let title = format!("Keel: {}", kind.split(' ').next().unwrap_or("run"));
    let mut story = Story::new(title, kind, &config.policy);
    let cycles = reader.cycles()?;
    let quiet = Quiet::of(&reader, &cycles, span)?;
    let cycles: Vec<_> = cycles
        .into_iter()
        .filter(|cycle| span.holds(Timestamp::from_ms(cycle.at_ms)) && !quiet.hide(cycle))
        .collect();
    let (Some(first), Some(last)) = (cycles.first(), cycles.last()) else {
        add_facts(&mut story, config, Some(path));
        return Ok(story);
    };
    let mut trades: BTreeMap<u64, Vec<TradeRow>> = BTreeMap::new();
    for trade in reader.trades(None)? {
        trades.entry(trade.cycle).or_default().push(trade);
    }
    let mut fills: BTreeMap<String, Vec<Fill>> = BTreeMap::new();
    for fill in reader.fills()? {
        fills.entry(fill.id.clone()).or_default().push(texts.fill(&fill)?);
    }
    for cycle in &cycles {
        let totals = [
            texts.number("a total", &cycle.total_before)?,
            texts.number("a total", &cycle.total_after)?,
            texts.number("a total", &cycle.stablecoin_after)?,
        ];
        story.begin(cycle.cycle, Timestamp::from_ms(cycle.at_ms), &cycle.trigger, totals);
        for note in &cycle.notes {
            story.note(cycle.cycle, note);
        }
    }
    let places: BTreeMap<u64, usize> =
        cycles.iter().enumerate().map(|(place, cycle)| (cycle.cycle, place)).collect();
    let mut failed = None;
    reader.each_decision(first.cycle, last.cycle, |decision| {
        let Some(place) = places.get(&decision.cycle) else { return };
        let read = texts
            .row(&decision)
            .and_then(|row| Ok((row, texts.number("a change", &decision.change)?)));
        match read {
            Ok((row, change)) => {
                story.decide(*place, &decision.ticker, row, &decision.reason, change);
                quiet.count(&mut story, &decision, change);
            }
            Err(failure) => failed = Some(failure),
        }
    })?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    for cycle in &cycles {
        for (leg, trade) in (0..).zip(trades.remove(&cycle.cycle).unwrap_or_default()) {
            let intent = texts.intent(&trade, leg)?;
            let outcome = outcome(&trade, fills.remove(&trade.id).unwrap_or_default());
            story.execute(intent, outcome);
        }
    }
    add_facts(&mut story, config, Some(path));
    quiet.tell(&mut story);
    let cost = Qty::new(cost_models(config).trade_cost()).to_f64();
    story.benchmarks = benchmark::from_records(&story, cost);
    Ok(story)
}

/// Cycles in which nothing happened, which the record of another stands for.
#[derive(Default)]
struct Quiet {
    runs: Vec<Folded>,
    /// How many cycles each of these stands for besides itself.
    by_alike: BTreeMap<u64, u64>,
}

impl Quiet {
    /// The folded cycles of the span. When there are any, idle ones that will be are left out too:
    /// otherwise the last week, with a record for each minute, would be half of what a year looks like.
    fn of(reader: &Reader, cycles: &[CycleRow], span: Span) -> Result<Self, Failure> {
        let holds = |run: &Folded| span.holds(Timestamp::from_ms(run.from_ms));
        let is_idle = |run: &Folded| {
            cycles
                .binary_search_by_key(&run.alike, |cycle| cycle.cycle)
                .is_ok_and(|place| cycles[place].trigger == "none")
        };
        let mut runs: Vec<Folded> = reader.folded()?.into_iter().filter(holds).collect();
        if !runs.is_empty() {
            let young = reader.foldable()?.into_iter();
            runs.extend(young.filter(|run| holds(run) && is_idle(run)));
        }
        let mut by_alike = BTreeMap::new();
        for run in &runs {
            *by_alike.entry(run.alike).or_default() += run.cycles;
        }
        Ok(Self { runs, by_alike })
    }

    fn hide(&self, cycle: &CycleRow) -> bool {
        let place = self.runs.partition_point(|run| run.last < cycle.cycle);
        self.runs.get(place).is_some_and(|run| run.first <= cycle.cycle)
    }

    /// Why an asset was left alone counts for every cycle.
    fn count(&self, story: &mut Story, decision: &DecisionRow, change: Decimal) {
        let Some(cycles) = self.by_alike.get(&decision.cycle) else { return };
        let by_ticker = story.reasons.get_mut(&decision.reason);
        if let Some(tally) = by_ticker.and_then(|tallies| tallies.get_mut(&decision.ticker)) {
            tally.cycles += cycles;
            tally.wanted += if change.is_zero() { 0 } else { *cycles };
        }
    }

    fn tell(&self, story: &mut Story) {
        let count: u64 = self.by_alike.values().sum();
        if count > 0 {
            let text = format!(
                "{count} more without orders said the same as one of these in the same hour or before"
            );
            story.facts.push(("cycles".to_owned(), text));
        }
    }
}

fn add_facts(story: &mut Story, config: &Config, journal: Option<&Path>) {
    let settings = &config.policy.settings;
    let models = cost_models(config);
    let file = |path: &Path| {
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let run = story.kind.clone();
    let mut fact = |name: &str, value: String| story.facts.push((name.to_owned(), value));
    fact("run", run);
    fact(
        "configuration",
        format!("{}, settings {}", file(&config.path), settings_fingerprint(config)),
    );
    if let Some(journal) = journal {
        fact("journal", file(journal));
    }
    fact("allocation", settings.allocation.name.to_owned());
    fact("drift band", settings.rebalance_threshold.to_string());
    fact("altcoin cap", settings.max_alt_coin_ratio.to_string());
    fact("minimum order", settings.min_order_value.to_string());
    fact("confirmation", format!("{} candles", settings.signal_confirmation_cycles));
    fact(
        "costs of paper orders and benchmarks",
        format!(
            "fee {} bps, half-spread {} bps, impact {} bps per percent of the last hour's volume, at most {} of that volume",
            models.fee_bps,
            models.half_spread_bps,
            models.slippage_bps_per_percent,
            models.max_volume_share
        ),
    );
    for asset in &config.policy.assets {
        let [position, trend] = [&asset.position_params, &asset.trend_params].map(|params| {
            let named = asset.strategy.params.iter().zip(params.values());
            named
                .map(|(spec, value)| format!("{} {value}", spec.name))
                .collect::<Vec<_>>()
                .join(" ")
        });
        fact(
            asset.ticker.as_str(),
            format!(
                "{} level {}, price {} {position}, trend {} {trend}",
                asset.venue, asset.level, asset.position_interval, asset.trend_interval
            ),
        );
    }
    story.honesty.not_modelled = NOT_MODELLED.iter().map(|&text| text.to_owned()).collect();
}

/// What no simulation of Keel models; a live journal holds the real thing.
pub const NOT_MODELLED: [&str; 4] = [
    "the order book: a simulated order is filled at the last price moved by half the spread and an impact that grows with its share of the last hour's volume",
    "outages of an exchange, limits of its interface, withdrawals, funding between exchanges, taxes and interest",
    "what our own orders would have done to later prices",
    "a stablecoin that loses its peg: it counts as 1",
];

/// Adds to the story of a backtest what its cycles do not tell: benchmarks, notes about the data,
/// fingerprints and channels.
pub fn complete(story: &mut Story, config: &Config, tape: &Tape, run: &Run) {
    story.facts.push(("data".to_owned(), run.data_fingerprint.clone()));
    add_facts(story, config, None);
    // They hold the notes of the cycles, the same ones joined.
    story.notes.clone_from(&run.data_notes);
    story.benchmarks = run
        .benchmarks
        .iter()
        .map(|benchmark| Benchmark {
            name: benchmark.name.clone(),
            doc: benchmark.doc.clone(),
            values: benchmark.equity.clone(),
        })
        .collect();
    add_channels(story, config, tape);
}

/// Adds what only candles tell: the channel of each asset's price signal at the end of the run.
pub fn add_channels(story: &mut Story, config: &Config, tape: &Tape) {
    let Some(end) = story.cycles.last().map(|cycle| cycle.at) else { return };
    for asset in &config.policy.assets {
        let symbol =
            keel_core::asset::Symbol::new(asset.ticker.clone(), config.policy.stablecoin.clone());
        let series = tape
            .venues
            .get(&asset.venue)
            .and_then(|venue| venue.candles.get(&symbol))
            .and_then(|by_timeframe| by_timeframe.get(&asset.position_interval));
        let (Some(series), "keltner_channel") = (series, asset.strategy.name) else { continue };
        // As many bars as the signal itself sees, so that the channel is the one that it saw.
        let window = Window::closed(series, end, config.policy.settings.indicator_history_size);
        let bars = window.bars();
        let params = keltner_params(&asset.position_params);
        let channel = keel_core::indicator::keltner_channel(
            bars.open, bars.high, bars.low, bars.close, params,
        );
        let from = bars.close.len().saturating_sub(CHANNEL_BARS);
        let newest = |column: &[f64]| column[from..].to_vec();
        story.channels.push(Channel {
            ticker: asset.ticker.to_string(),
            doc: format!(
                "{} bars, window {}, atr {}, mult {}",
                asset.position_interval, params.window, params.atr, params.mult
            ),
            closed_at_ms: window
                .candles()
                .skip(from)
                .map(|candle| candle.open_time_ms + asset.position_interval.ms())
                .collect(),
            close: newest(bars.close),
            upper: newest(&channel.upper),
            middle: newest(&channel.middle),
            lower: newest(&channel.lower),
        });
    }
}
