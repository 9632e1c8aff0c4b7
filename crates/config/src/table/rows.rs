//! The rows.

use super::{Bounds, Field, Kind, Need, Section, Shape};

/// Every section of the configuration, in the order in which people write them.
pub static SECTIONS: &[Section] = &[
    Section {
        key: "bot_settings",
        shape: Shape::Object,
        is_required: true,
        is_private: false,
        doc: "How the bot runs and when it acts.",
        fields: BOT_SETTINGS,
    },
    Section {
        key: "paths",
        shape: Shape::Object,
        is_required: true,
        is_private: false,
        doc: "Where files are read and written; relative paths start at the working directory.",
        fields: PATHS,
    },
    Section {
        key: "logging",
        shape: Shape::Object,
        is_required: false,
        is_private: false,
        doc: "What is logged and how it looks.",
        fields: LOGGING,
    },
    Section {
        key: "exchange_configurations",
        shape: Shape::Map("<id>"),
        is_required: false,
        is_private: false,
        doc: "One entry for each exchange, under its id.",
        fields: EXCHANGES,
    },
    Section {
        key: "exchanges_credentials",
        shape: Shape::Map("<key>"),
        is_required: false,
        is_private: true,
        doc: "API keys of exchanges, under the names that credentials_key uses.",
        fields: CREDENTIALS,
    },
    Section {
        key: "telegram",
        shape: Shape::Object,
        is_required: false,
        is_private: false,
        doc: "Reports and commands in a Telegram chat.",
        fields: TELEGRAM,
    },
    Section {
        key: "telegram_credentials",
        shape: Shape::Map("<key>"),
        is_required: false,
        is_private: true,
        doc: "Telegram bots, under the names that telegram.credentials_key uses.",
        fields: TELEGRAM_CREDENTIALS,
    },
    Section {
        key: "paper",
        shape: Shape::Object,
        is_required: false,
        is_private: false,
        doc: "The simulated exchange of dry runs and replays.",
        fields: PAPER,
    },
    Section {
        key: "limits",
        shape: Shape::Object,
        is_required: false,
        is_private: false,
        doc: "What no order may exceed, whatever the plan says.",
        fields: LIMITS,
    },
    Section {
        key: "coingecko",
        shape: Shape::Object,
        is_required: false,
        is_private: false,
        doc: "Where market capitalisations come from.",
        fields: COINGECKO,
    },
    Section {
        key: "portfolio_assets",
        shape: Shape::List,
        is_required: true,
        is_private: false,
        doc: "The assets; the first one with level 0 is the primary stablecoin.",
        fields: ASSETS,
    },
];

const BOT_SETTINGS: &[Field] = &[
    field("dry_run", Kind::Bool, "true paper-trades on real market data; live trading needs false here and --live on the command line")
        .default("true"),
    field("cycle_sleep_duration_seconds", decimal("0.1", "86400"), "pause between cycles, in seconds")
        .alias("cycle_sleep_seconds")
        .default("60"),
    field("max_retries_network", Kind::Whole { min: 0, max: 100 }, "how often a failed read is tried again; orders are never sent twice")
        .default("3"),
    field("retry_delay_seconds_network", decimal("0", "3600"), "pause before a read is tried again, in seconds")
        .default("5"),
    field("min_order_value_usd", decimal("0", "1000000000000"), "no order below this value in the primary stablecoin")
        .default("15"),
    field("max_alt_coin_ratio", decimal("0", "1"), "cap on the sum of ratios of assets with level 2 and above; 1 is no cap")
        .default("1.0"),
    field("rebalance_threshold_percentage", decimal("0", "1"), "drift band as a fraction of the target value: 0.01 is one percent")
        .default("0.01"),
    field("signal_confirmation_cycles", Kind::Whole { min: 1, max: 1000 }, "a signal counts only if this many of the last closed candles carry it")
        .default("1"),
    field("indicator_history_size", Kind::Whole { min: 10, max: 100_000 }, "candles fetched first; an asset whose market is younger than so many trend candles (1,000 days of daily ones) waits with its trend, unless all are")
        .default("1000"),
    field("max_indicator_history_size", Kind::Whole { min: 10, max: 100_000 }, "candles fetched at most, while there is no signal yet")
        .default("5000"),
    field("market_cap_stale_threshold_seconds", Kind::Whole { min: 1, max: 31_536_000 }, "market capitalisations older than this are still used, but flagged and alerted")
        .default("86400"),
    field("balance_adjustment_factor_buy", above("0", "1"), "haircut when a buy must be cut to what is free")
        .default("0.99"),
    field("balance_adjustment_factor_sell", above("0", "1"), "haircut when a sell must be cut to what is free")
        .default("0.9999"),
    field("initial_stablecoin_balance", decimal("0", "1000000000000"), "first deposit of the paper account, in the primary stablecoin")
        .default("1000"),
    field("allocation_policy", Kind::Choice(allocation_names), "how the trending assets share the portfolio")
        .default("\"dominance\""),
];

const PATHS: &[Field] = &[
    field("portfolio_strategies_dir", Kind::Path, "directory of the strategy files")
        .required()
        .example("\"./portfolio/strategies\""),
    field(
        "global_status_file_path",
        Kind::Path,
        "status file: what is known of each asset, as JSON",
    )
    .required()
    .example("\"./portfolio/status.json\""),
    field(
        "journal_path",
        Kind::Path,
        "SQLite journal of decisions and orders; when absent, keel.sqlite beside the status file",
    )
    .nullable(),
    field("log_dir", Kind::Path, "directory of log files").default("\"./logs\""),
    field("log_filename", Kind::FileName, "name of the log file").default("\"keel.log\""),
    field(
        "portfolio_export_path",
        Kind::Path,
        "CSV of the portfolio after each cycle; when absent, none is written",
    )
    .nullable(),
    field(
        "ohlcv_export_dir",
        Kind::Path,
        "directory for CSV files of the candles in use; when absent, none are written",
    )
    .nullable(),
];

const LOGGING: &[Field] = &[
    field("level", Kind::LogLevel, "the least important messages that are logged")
        .default("\"INFO\""),
    field("format", Kind::Text, "message format of the Python program; accepted and not used")
        .nullable(),
    field("date_format", Kind::Text, "date format of the Python program; accepted and not used")
        .nullable(),
    field("external_lib_levels", Kind::LogLevels, "accepted from older files; libraries log nothing here, since their lines can hold addresses with secrets")
        .default("{}"),
    field("json", Kind::Bool, "true logs one JSON object per line").default("false"),
];

const EXCHANGES: &[Field] = &[
    field("credentials_key", Kind::Text, "which entry of exchanges_credentials to use; may be left out in dry runs").nullable()
        .example("\"main\""),
    field("enable_rate_limit", Kind::Bool, "accepted from older files; requests always stay within the limits of the exchange").default("true"),
    field("default_type", Kind::Choice(|| vec!["spot"]), "kind of market").default("\"spot\""),
    field("sandbox", Kind::Bool, "true uses the test environment of the exchange").default("false"),
    field("options", Kind::Options, "replay_venue names the recorded exchange that stands for this one in a replay; others are accepted from older files and not used").default("{}"),
    field("urls", Kind::Urls, "base URLs to use instead of the usual ones, for a proxy, a testnet or a simulated exchange").default("{}"),
];

const CREDENTIALS: &[Field] = &[
    field("apiKey", Kind::Secret, "API key").default("\"\"").example("\"${KEEL_API_KEY}\""),
    field("secret", Kind::Secret, "API secret").default("\"\"").example("\"${KEEL_API_SECRET}\""),
    field("password", Kind::Secret, "API passphrase, where the exchange has one").nullable(),
    field("options", Kind::Options, "accepted from older files and not used").default("{}"),
];

const TELEGRAM: &[Field] = &[
    field("enabled", Kind::Bool, "true sends reports and answers commands").default("false"),
    field("credentials_key", Kind::Text, "which entry of telegram_credentials to use")
        .nullable()
        .example("\"main\""),
    field("allowed_user_ids", Kind::UserIds, "numbers of the users whose commands are obeyed; when empty, nobody's are")
        .default("[]"),
    field("notification_settings", Kind::Notifications, "which events are sent: on with a sound, silent without one, off not at all; an event that is not named is on")
        .default("{}"),
    field("api_url", Kind::Url, "base URL of a Bot API server of your own; when absent, Telegram's")
        .nullable(),
];

const TELEGRAM_CREDENTIALS: &[Field] = &[
    field("apiKey", Kind::Secret, "token of the bot")
        .default("\"\"")
        .example("\"${KEEL_TELEGRAM_TOKEN}\""),
    field("chatId", Kind::ChatId, "the chat to send to and to obey, a number or text")
        .default("\"\"")
        .example("\"${KEEL_TELEGRAM_CHAT}\""),
];

const PAPER: &[Field] = &[
    field("fee_bps", decimal("0", "1000"), "fee of each fill, in hundredths of a percent").default("10"),
    field("half_spread_bps", decimal("0", "1000"), "distance of bid and ask from the middle, in hundredths of a percent")
        .default("2"),
    field("slippage_bps_per_percent_of_volume", decimal("0", "10000"), "how much worse the price becomes for each percent of the candle's volume that the order takes, in hundredths of a percent")
        .default("10"),
    field("max_volume_share", above("0", "1"), "largest share of the candle's volume that fills; the rest stays unfilled")
        .default("0.25"),
    field("initial_balances", Kind::Balances, "first balances for each exchange and ticker; when absent, initial_stablecoin_balance of the primary stablecoin")
        .nullable(),
];

const LIMITS: &[Field] = &[
    field("price_band", above("0", "10"), "largest distance of a new price from the last good one or a second source, as a fraction").default("0.25"),
    field("max_spread_bps", above("0", "10000"), "widest spread of an order book that takes an order, in hundredths of a percent").default("200"),
    field("max_slippage_bps", above("0", "10000"), "largest distance of an order's average price from the middle of the book, and of a buy above the price of its plan, in hundredths of a percent").default("200"),
    field("max_orders_per_cycle", Kind::Whole { min: 0, max: 100_000 }, "most orders in one cycle").default("200"),
    field("max_orders_per_day", Kind::Whole { min: 0, max: 1_000_000 }, "most orders in one UTC day; the count survives restarts").default("2000"),
    field("max_turnover_per_cycle", decimal("0", "1000"), "largest value of the orders of one cycle, as a multiple of the portfolio").default("2"),
    field("max_turnover_per_day", decimal("0", "100000"), "largest value of the orders of one UTC day, as a multiple of the portfolio").default("24"),
    field("max_depeg", above("0", "1"), "how far below one dollar the primary stablecoin may be, as a fraction").default("0.03"),
];

const COINGECKO: &[Field] = &[
    field("base_url", Kind::Text, "base URL to use instead of the usual one, for a proxy or a simulated service").nullable(),
    field("api_key", Kind::Secret, "API key; without one the keyless limits apply").nullable()
        .example("\"${KEEL_COINGECKO_KEY}\""),
    field("plan", Kind::Choice(|| vec!["demo", "pro"]), "which plan the key belongs to").default("\"demo\""),
    field("archive_dir", Kind::Path, "directory of append-only files with the market capitalisations that were used and their fetch time, a row an hour; when absent, marketcap beside the status file").nullable(),
    field("max_price_deviation", above("0", "10"), "largest distance of its price from the exchange's before an id is taken for the wrong coin, as a fraction").default("0.10"),
];

const ASSETS: &[Field] = &[
    field("ticker", Kind::Ticker, "name of the asset; each occurs once").required().example("\"BTC\""),
    field("level", Kind::Whole { min: 0, max: 100 }, "0 stablecoin, 1 major, 2 and above altcoin").required().example("1"),
    field("exchange", Kind::Venue, "where it is held and traded; N/A or null for a stablecoin").tradable().example("\"binance\""),
    field("coingecko_id", Kind::CoinGeckoId, "id at CoinGecko, for the market capitalisation; for the primary stablecoin, a witness of its price in dollars").tradable().example("\"bitcoin\""),
    field("position_interval", Kind::Interval, "bar length of the position signal, in seconds; 0 or absent for a stablecoin").tradable().example("3600"),
    field("trend_interval", Kind::Interval, "bar length of the trend signal, in seconds; 0 or absent for a stablecoin").tradable().example("14400"),
    field("strategy_file", Kind::FileName, "strategy file in portfolio_strategies_dir; written with the defaults when it does not exist").tradable()
        .example("\"BTC_strategy.json\""),
    field("strategy_name", Kind::Choice(strategy_names), "what makes the signals").tradable().example("\"keltner_channel\""),
];

fn allocation_names() -> Vec<&'static str> {
    keel_core::allocation::ALLOCATIONS.iter().map(|allocation| allocation.name).collect()
}

fn strategy_names() -> Vec<&'static str> {
    keel_core::strategy::STRATEGIES.iter().map(|strategy| strategy.name).collect()
}

const fn field(key: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        key,
        alias: None,
        kind,
        need: Need::Optional,
        is_nullable: false,
        default: None,
        example: None,
        doc,
    }
}

const fn decimal(min: &'static str, max: &'static str) -> Kind {
    Kind::Decimal(Bounds { min, max, is_above_min: false })
}

const fn above(min: &'static str, max: &'static str) -> Kind {
    Kind::Decimal(Bounds { min, max, is_above_min: true })
}

impl Field {
    const fn default(mut self, json: &'static str) -> Self {
        self.default = Some(json);
        self
    }

    const fn example(mut self, json: &'static str) -> Self {
        self.example = Some(json);
        self
    }

    const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    const fn nullable(mut self) -> Self {
        self.is_nullable = true;
        self
    }

    const fn required(mut self) -> Self {
        self.need = Need::Required;
        self
    }

    /// Needed for `level >= 1`; a stablecoin may leave it out or write `null`.
    const fn tradable(mut self) -> Self {
        self.need = Need::Tradable;
        self.is_nullable = true;
        self
    }
}
