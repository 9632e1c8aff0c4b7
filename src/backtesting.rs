//! What the commands over history share: which data, which range, which costs, which money.

use crate::cli::ConfigArg;
use crate::exit::{Code, Failure};
use crate::output;
use crate::replay::{self, Recording};
use crate::simulation::{cost_models, first_deposit, settings_fingerprint};
use keel_backtest::engine::{Deposit, Scenario};
use keel_config::Config;
use keel_core::amount::Money;
use keel_core::policy::Policy;
use keel_core::time::{Timeframe, Timestamp};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

/// Which portfolio over which part of which data, at what costs.
#[derive(Clone, Debug, clap::Args)]
pub struct HistoryArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// A directory with recorded candles and caps (see docs/data.md).
    #[arg(long, value_name = "DIR", required = true)]
    pub data: PathBuf,
    /// The range, UTC: 20210101-20241231, 20210101- or -20241231; the last day is included.
    /// Candles before it serve the signals. Default: everything that is recorded.
    #[arg(long, value_name = "A-B")]
    pub timerange: Option<TimeRange>,
    /// Fee of each trade as a fraction: 0.001 is 0.1 %. Default: `paper.fee_bps`.
    #[arg(long, value_name = "FRACTION")]
    pub fee: Option<Decimal>,
    /// What a trade costs beside the fee: `none`, `fixed:BPS` (half the spread) or
    /// `volume:BPS,BPS_PER_PERCENT` (half the spread, and price impact for each percent of the last
    /// hour's volume). Default: the `paper` section.
    #[arg(long, value_name = "MODEL")]
    pub slippage_model: Option<SlippageModel>,
    /// Stablecoin at the start, in equal parts on the venues. Default: the configuration's.
    #[arg(long, value_name = "AMOUNT")]
    pub capital: Option<Decimal>,
    /// Money that comes at a date, or goes when negative: 2022-01-01=500. May be repeated.
    #[arg(long, value_name = "DATE=AMOUNT", allow_hyphen_values = true)]
    pub deposit: Vec<DepositArg>,
}

/// A range of days; open at either end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// First moment.
    pub from: Option<Timestamp>,
    /// Last moment; the end of the day that was named.
    pub to: Option<Timestamp>,
}

impl FromStr for TimeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let syntax =
            || format!("`{text}` is not a range; expected A-B, A- or -B with dates as YYYYMMDD");
        let (from, to) = text.split_once('-').ok_or_else(syntax)?;
        let day = |part: &str| match part {
            "" => Ok(None),
            part if part.len() == 8 => part.parse::<Timestamp>().map(Some).map_err(|_| syntax()),
            _ => Err(syntax()),
        };
        let (from, to) = (day(from)?, day(to)?);
        if from.is_none() && to.is_none() {
            return Err(syntax());
        }
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(format!("`{text}` starts after it ends; exchange the two dates"));
        }
        Ok(Self { from, to: to.map(|to| to.plus_ms(Timeframe::D1.ms())) })
    }
}

/// What a trade costs beside the fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlippageModel {
    half_spread_bps: Decimal,
    bps_per_percent: Decimal,
    whole_volume: bool,
}

impl FromStr for SlippageModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let syntax = || {
            format!(
                "`{text}` is not a slippage model; expected none, fixed:BPS or volume:BPS,BPS_PER_PERCENT, such as volume:2,10"
            )
        };
        let bps = |text: &str| match text.parse::<Decimal>() {
            Ok(bps) if (Decimal::ZERO..=Decimal::ONE_THOUSAND).contains(&bps) => Ok(bps),
            _ => Err(syntax()),
        };
        let zero = Decimal::ZERO;
        let (half_spread_bps, bps_per_percent, whole_volume) = match text.split_once(':') {
            None if text == "none" => (zero, zero, true),
            Some(("fixed", spread)) => (bps(spread)?, zero, false),
            Some(("volume", both)) => {
                let (spread, impact) = both.split_once(',').ok_or_else(syntax)?;
                (bps(spread)?, bps(impact)?, false)
            }
            _ => return Err(syntax()),
        };
        Ok(Self { half_spread_bps, bps_per_percent, whole_volume })
    }
}

/// `2022-01-01=500`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositArg(Deposit);

impl FromStr for DepositArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (at, amount) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not a deposit; expected DATE=AMOUNT"))?;
        let at = at.parse::<Timestamp>().map_err(|error| error.to_string())?;
        let amount = amount
            .parse::<Decimal>()
            .map_err(|_| format!("`{amount}` is not an amount; expected a number such as 500"))?;
        Ok(Self(Deposit { at, amount: Money::new(amount) }))
    }
}

/// Everything a run over history needs, loaded and checked.
#[derive(Debug)]
pub struct History {
    /// The configuration, with the costs and the capital of the command line.
    pub config: Config,
    /// The tape.
    pub recording: Recording,
    /// First moment.
    pub from: Timestamp,
    /// Last moment.
    pub to: Timestamp,
    /// The moments of the cycles.
    pub moments: Vec<Timestamp>,
    /// What comes and goes, in order of time.
    pub deposits: Vec<Deposit>,
    /// What was said about the data so far.
    pub notes: Vec<String>,
}

impl HistoryArgs {
    /// Reads the configuration and the data.
    ///
    /// # Errors
    /// A configuration or data that cannot be used, or a range without any candle.
    pub fn load(&self) -> Result<History, Failure> {
        self.load_with(&BTreeSet::new())
    }

    /// The same with candles of more lengths than the configuration's intervals.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_with(&self, more: &BTreeSet<Timeframe>) -> Result<History, Failure> {
        let mut config = self.config.load()?;
        self.apply(&mut config)?;
        output::remark(format!("loading candles and caps from {}", self.data.display()));
        let recording = replay::load_with(&config, &self.data, more)?;
        let range = self.timerange.unwrap_or_default();
        let deposits = self.deposit.iter().map(|deposit| deposit.0).collect();
        History::new(config, recording, range, deposits)
    }

    /// Puts costs and capital of the command line into the configuration.
    fn apply(&self, config: &mut Config) -> Result<(), Failure> {
        let bad = |message: String| Failure::new(Code::BadInput, message);
        if let Some(fee) = self.fee {
            if !(Decimal::ZERO..=Decimal::new(1, 1)).contains(&fee) {
                return Err(bad(format!("--fee {fee}: expected a fraction from 0 to 0.1")));
            }
            config.paper.fee_bps = fee * Decimal::from(10_000);
        }
        if let Some(model) = self.slippage_model {
            config.paper.half_spread_bps = model.half_spread_bps;
            config.paper.slippage_bps_per_percent_of_volume = model.bps_per_percent;
            if model.whole_volume {
                config.paper.max_volume_share = Decimal::ONE;
            }
        }
        if let Some(capital) = self.capital {
            if capital <= Decimal::ZERO {
                return Err(bad(format!("--capital {capital}: expected an amount above 0")));
            }
            config.bot.initial_stablecoin_balance = Money::new(capital);
            config.paper.initial_balances = None;
        }
        Ok(())
    }
}

impl History {
    /// A range of a recording; what lies outside the recorded candles is cut off and noted.
    ///
    /// # Errors
    /// When nothing is recorded in the range.
    pub fn new(
        config: Config,
        recording: Recording,
        range: TimeRange,
        mut deposits: Vec<Deposit>,
    ) -> Result<Self, Failure> {
        let (from, to) = recording.cut(range.from, range.to)?;
        let mut notes = recording.notes.clone();
        if let Some(asked) = range.from.filter(|asked| *asked < from) {
            notes.push(format!(
                "the range starts on {asked}, before the first candle closed; the run starts on {from}"
            ));
        }
        if let Some(asked) = range.to.filter(|asked| *asked > to) {
            notes.push(format!(
                "the range ends on {asked}, after the last candle closed; the run ends on {to}"
            ));
        }
        let step = replay::step(&config.policy.assets);
        let moments: Vec<Timestamp> = replay::moments(from, to, step).collect();
        deposits.sort_by_key(|deposit| deposit.at);
        for deposit in deposits.extract_if(.., |deposit| deposit.at > to) {
            notes.push(format!(
                "the deposit of {} on {} lies after the run and is left out",
                deposit.amount, deposit.at
            ));
        }
        Ok(Self { config, recording, from, to, moments, deposits, notes })
    }

    /// What to run, under a title.
    #[must_use]
    pub fn scenario(&self, title: String) -> Scenario<'_> {
        self.scenario_with(title, &self.config.policy, &self.moments)
    }

    /// The same with another policy and its moments.
    #[must_use]
    pub fn scenario_with<'a>(
        &'a self,
        title: String,
        policy: &'a Policy,
        moments: &'a [Timestamp],
    ) -> Scenario<'a> {
        Scenario {
            title,
            config_fingerprint: settings_fingerprint(&self.config),
            data_fingerprint: self.recording.fingerprint.clone(),
            deployment: format!("replay-{}", self.recording.fingerprint),
            policy,
            tape: &self.recording.tape,
            moments,
            costs: cost_models(&self.config),
            account: first_deposit(&self.config),
            deposits: self.deposits.clone(),
            data_notes: self.notes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_includes_its_last_day() {
        let range: TimeRange = "20210101-20211231".parse().unwrap();
        assert_eq!(range.from.unwrap().to_string(), "2021-01-01T00:00:00Z");
        assert_eq!(range.to.unwrap().to_string(), "2022-01-01T00:00:00Z");
        assert_eq!("-20211231".parse::<TimeRange>().unwrap().from, None);
        for bad in ["", "-", "2021", "20210101", "20211231-20210101", "2021-01-01"] {
            assert!(bad.parse::<TimeRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn slippage_models_are_read() {
        for good in ["none", "fixed:5", "volume:2,10"] {
            assert!(good.parse::<SlippageModel>().is_ok(), "{good}");
        }
        for bad in ["", "fixed", "fixed:-1", "volume:2", "fixed:x", "volume:1,2000"] {
            assert!(bad.parse::<SlippageModel>().is_err(), "{bad}");
        }
    }
}
