//! Balances and what the key may do.

use super::format::plain;
use super::{Answer, Desk};
use crate::prices::Place;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde_json::{Value, json};

impl Desk<'_> {
    pub(super) fn balance(&self) -> Answer {
        let wanted = self.value("ccy");
        let mut total = Decimal::ZERO;
        let ts = self.now_ms.to_string();
        let mut details: Vec<Value> = Vec::new();
        for (asset, held) in self.venue.exchange.balances(self.call.stale) {
            let sum = held.free + held.locked;
            let listed = wanted.is_none_or(|names| names.split(',').any(|name| name == asset));
            // The venue leaves out what one does not have.
            if sum.is_zero() || !listed {
                continue;
            }
            let price = self.prices.price(Place::Okx, &asset, self.now_ms);
            let price = price.and_then(Decimal::from_f64).unwrap_or_default();
            let value = (sum * price).round_dp(8);
            total += value;
            details.push(json!({
                "ccy": asset,
                "eq": plain(sum),
                "cashBal": plain(sum),
                "uTime": ts,
                "isoEq": "0",
                "availEq": "",
                "disEq": plain(value),
                "fixedBal": "0",
                "availBal": plain(held.free),
                "frozenBal": plain(held.locked),
                "ordFrozen": plain(held.locked),
                "liab": "",
                "upl": "",
                "uplLiab": "",
                "crossLiab": "",
                "isoLiab": "",
                "mgnRatio": "",
                "interest": "",
                "twap": "",
                "maxLoan": "",
                "eqUsd": plain(value),
                "notionalLever": "",
                "stgyEq": "0",
                "isoUpl": "",
                "spotInUseAmt": "",
                "borrowFroz": "",
                "spotBal": plain(sum),
            }));
        }
        Ok(vec![json!({
            "uTime": ts,
            "totalEq": plain(total),
            "isoEq": "",
            "adjEq": "",
            "availEq": "",
            "ordFroz": "",
            "imr": "",
            "mmr": "",
            "borrowFroz": "",
            "mgnRatio": "",
            "notionalUsd": "",
            "upl": "",
            "details": details,
        })])
    }

    pub(super) fn account_config(&self) -> Answer {
        let key = self.key()?;
        let rights = [(key.read, "read_only"), (key.withdraw, "withdraw"), (key.trade, "trade")];
        let names: Vec<&str> =
            rights.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
        Ok(vec![json!({
            "uid": "44705892343619584",
            "mainUid": "44705892343619584",
            "acctLv": "1",
            "acctStpMode": "cancel_maker",
            "posMode": "net_mode",
            "autoLoan": false,
            "greeksType": "PA",
            "level": "Lv1",
            "levelTmp": "",
            "ctIsoMode": "automatic",
            "mgnIsoMode": "automatic",
            "spotOffsetType": "",
            "roleType": "0",
            "traderInsts": [],
            "spotRoleType": "0",
            "spotTraderInsts": [],
            "opAuth": "0",
            "kycLv": "3",
            "label": "keel",
            "ip": if key.address_bound { "127.0.0.1" } else { "" },
            "perm": names.join(","),
            "enableSpotBorrow": false,
            "spotBorrowAutoRepay": false,
            "type": "0",
        })])
    }
}
