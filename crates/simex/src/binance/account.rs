//! The account, its key and its coins.

use super::format::eight;
use super::{Answer, Desk};
use crate::ledger::{Holding, Party};
use rust_decimal::Decimal;
use serde_json::{Value, json};

impl Desk<'_> {
    pub(super) fn account(&mut self) -> Answer {
        let omit_zero = self.value("omitZeroBalances") == Some("true");
        let exchange = &self.venue.exchange;
        let mut holdings = exchange.balances(self.call.stale);
        for asset in self.assets {
            holdings.entry(asset.ticker.clone()).or_default();
            // Funds in "Simple Earn" are listed under a name of their own.
            let aside = exchange.ledger.sum(Party::Elsewhere, &asset.ticker);
            if !aside.is_zero() {
                let earning = Holding { free: aside, locked: Decimal::ZERO };
                holdings.insert(format!("LD{}", asset.ticker), earning);
            }
        }
        let balances: Vec<Value> = holdings
            .iter()
            .filter(|(_, held)| !omit_zero || !(held.free + held.locked).is_zero())
            .map(|(asset, held)| {
                json!({"asset": asset, "free": eight(held.free), "locked": eight(held.locked)})
            })
            .collect();
        let rate = eight(exchange.fee_rate);
        Ok(json!({
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {"maker": rate, "taker": rate, "buyer": "0.00000000", "seller": "0.00000000"},
            "canTrade": true,
            "canWithdraw": true,
            "canDeposit": true,
            "brokered": false,
            "requireSelfTradePrevention": false,
            "preventSor": false,
            "updateTime": self.now_ms,
            "accountType": "SPOT",
            "balances": balances,
            "permissions": ["SPOT"],
            "uid": 354_937_868,
        }))
    }

    pub(super) fn commission(&mut self) -> Answer {
        let market = self.market()?;
        let rate = eight(self.venue.exchange.fee_rate);
        let zero = eight(Decimal::ZERO);
        let none = json!({"maker": zero, "taker": zero, "buyer": zero, "seller": zero});
        Ok(json!({
            "symbol": super::symbol_of(&market),
            "standardCommission": {"maker": rate, "taker": rate, "buyer": zero, "seller": zero},
            "specialCommission": none,
            "taxCommission": none,
            "discount": {"enabledForAccount": false, "enabledForSymbol": false, "discountAsset": "BNB", "discount": "0.75000000"},
        }))
    }

    pub(super) fn key_rights(&mut self) -> Answer {
        let key = self.venue.keys.get(self.call.header("x-mbx-apikey"));
        let right = |of: fn(&crate::config::KeyConfig) -> bool| key.is_some_and(of);
        Ok(json!({
            "ipRestrict": right(|key| key.address_bound),
            "createTime": self.history_from_ms,
            "enableReading": right(|key| key.read),
            "enableWithdrawals": right(|key| key.withdraw),
            "enableInternalTransfer": false,
            "enableMargin": false,
            "enableFutures": false,
            "permitsUniversalTransfer": false,
            "enableVanillaOptions": false,
            "enableFixApiTrade": false,
            "enableFixReadOnly": false,
            "enableSpotAndMarginTrading": right(|key| key.trade),
            "enablePortfolioMarginTrading": false,
        }))
    }

    pub(super) fn coins(&mut self) -> Answer {
        let holdings = self.venue.exchange.balances(self.call.stale);
        let coins: Vec<Value> = self
            .assets
            .iter()
            .map(|asset| {
                let held = holdings.get(&asset.ticker).copied().unwrap_or_default();
                json!({
                    "coin": asset.ticker,
                    "depositAllEnable": true,
                    "withdrawAllEnable": true,
                    "name": asset.coingecko_id,
                    "free": eight(held.free),
                    "locked": eight(held.locked),
                    "freeze": "0",
                    "withdrawing": "0",
                    "ipoing": "0",
                    "ipoable": "0",
                    "storage": "0",
                    "isLegalMoney": false,
                    "trading": true,
                    "networkList": [],
                })
            })
            .collect();
        Ok(Value::Array(coins))
    }
}
