//! A directory with a configuration in it.

use keel_config::{Config, ConfigErrors, load};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Shaped like the files of the Python program, with a comment and the odd `1.0`.
pub(crate) const SEED_SHAPED: &str = r#"{
  // Written for the Python program.
  "bot_settings": {
    "dry_run": true,
    "cycle_sleep_seconds": 60,
    "max_retries_network": 3.0,
    "min_order_value_usd": 12.50,
    "balance_adjustment_factor_buy": 0.995,
    "initial_stablecoin_balance": 1000.10
  },
  "paths": {
    "portfolio_strategies_dir": "DIR/strategies",
    "global_status_file_path": "DIR/state/status.json",
    "log_dir": "DIR/logs",
    "log_filename": "bot.log",
    "portfolio_export_path": null
  },
  "logging": {
    "level": "info",
    "format": "%(asctime)s %(message)s",
    "date_format": "%Y-%m-%d",
    "external_lib_levels": { "ccxt": "WARNING", "httpx": "ERROR" }
  },
  "exchange_configurations": {
    "binance": {
      "credentials_key": "binance_main",
      "enable_rate_limit": true,
      "default_type": "spot",
      "sandbox": false,
      "options": { "adjustForTimeDifference": true }
    }
  },
  "exchanges_credentials": {
    "binance_main": { "apiKey": "", "secret": "YOUR_API_SECRET", "password": "", "options": {} }
  },
  "telegram": { "enabled": false, "credentials_key": "bot" },
  "telegram_credentials": { "bot": { "apiKey": "${TG_TOKEN}", "chatId": -100123 } },
  "portfolio_assets": [
    {
      "ticker": "USDT", "level": 0, "exchange": "N/A", "coingecko_id": null,
      "position_interval": 0, "trend_interval": null,
      "strategy_file": "USDT_strategy.json", "strategy_name": "keltner_channel"
    },
    {
      "ticker": "BTC", "level": 1.0, "exchange": "binance", "coingecko_id": "bitcoin",
      "position_interval": 3600, "trend_interval": 14400.0,
      "strategy_file": "BTC_strategy.json", "strategy_name": "keltner_channel"
    },
    { "ticker": "USDC", "level": 0 }
  ]
}
"#;

pub(crate) struct Desk {
    dir: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file; `DIR` stands for this directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text.replace("DIR", &self.dir.path().display().to_string())).unwrap();
        mode(&path, 0o644);
        path
    }

    pub(crate) fn load(&self, text: &str) -> Result<Config, ConfigErrors> {
        load(&self.write("config.json", text), &|_| None)
    }

    /// The problems as people see them, with `DIR` for this directory.
    pub(crate) fn problems(&self, text: &str) -> String {
        self.shown(&self.load(text).unwrap_err())
    }

    pub(crate) fn shown(&self, errors: &ConfigErrors) -> String {
        errors.to_string().replace(&self.dir.path().display().to_string(), "DIR")
    }
}

#[cfg(unix)]
pub(crate) fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn mode(_path: &Path, _mode: u32) {}

/// `SEED_SHAPED` with one piece of text replaced, which must be there.
pub(crate) fn edited(from: &str, to: &str) -> String {
    assert!(SEED_SHAPED.contains(from), "{from} is not in the configuration");
    SEED_SHAPED.replacen(from, to, 1)
}
