//! The commented configuration that a new user starts from, and the reference page's tables.

use crate::table::{Field, Need, SECTIONS, Section, Shape};
use std::fmt::Write;

/// A commented configuration for paper trading, as JSON with comments. Each key of the table is in
/// it; optional keys without a default are `null`.
#[must_use]
pub fn starter() -> String {
    let mut text = "// Configuration of a Keel portfolio. It paper-trades: real prices, no real orders.\n\
                    // Credentials are written as \"${ENV_NAME}\" or \"file:PATH\", never as themselves.\n{\n"
        .to_owned();
    for (index, section) in SECTIONS.iter().enumerate() {
        let comma = if index + 1 < SECTIONS.len() { "," } else { "" };
        let _ = writeln!(text, "  // {}", section.doc);
        match section.shape {
            Shape::Object => {
                let _ = writeln!(text, "  \"{}\": {{", section.key);
                write_fields(&mut text, section, 4, true, &|_| None);
                let _ = writeln!(text, "  }}{comma}");
            }
            Shape::Map(_) => {
                let name = starter_name(section);
                let _ = writeln!(text, "  \"{}\": {{\n    \"{name}\": {{", section.key);
                write_fields(&mut text, section, 6, true, &|_| None);
                let _ = writeln!(text, "    }}\n  }}{comma}");
            }
            Shape::List => {
                let _ = writeln!(text, "  \"{}\": [", section.key);
                for (row, asset) in ASSETS.iter().enumerate() {
                    let comma = if row + 1 < ASSETS.len() { "," } else { "" };
                    text.push_str("    {\n");
                    write_fields(&mut text, section, 6, row == 0, &|field| asset.value(field.key));
                    let _ = writeln!(text, "    }}{comma}");
                }
                let _ = writeln!(text, "  ]{comma}");
            }
        }
    }
    text.push_str("}\n");
    text
}

/// The tables of the reference page: for each section its sentence and one row for each key.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        let need = if section.is_required { "Required." } else { "Optional." };
        let _ = write!(
            text,
            "\n## `{}`\n\n{} {need}\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
            place(section),
            section.doc
        );
        for field in section.fields {
            let _ = writeln!(text, "{}", reference_row(field));
        }
    }
    text
}

fn reference_row(field: &Field) -> String {
    let alias = field.alias.map_or(String::new(), |alias| format!(" (also `{alias}`)"));
    let default = match (field.need, field.default) {
        (Need::Required, _) => "required".to_owned(),
        (Need::Tradable, _) => "required from level 1".to_owned(),
        (Need::Optional, Some(default)) => format!("`{default}`"),
        (Need::Optional, None) => "none".to_owned(),
    };
    let expected = field.kind.expected();
    let null = if field.is_nullable { ", or null" } else { "" };
    format!("| `{}`{alias} | {expected}{null} | {default} | {} |", field.key, field.doc)
}

fn place(section: &Section) -> String {
    match section.shape {
        Shape::Object => section.key.to_owned(),
        Shape::Map(name) => format!("{}.{name}", section.key),
        Shape::List => format!("{}[]", section.key),
    }
}

struct StarterAsset {
    ticker: &'static str,
    level: u32,
    coingecko_id: &'static str,
}

const ASSETS: &[StarterAsset] = &[
    StarterAsset { ticker: "BTC", level: 1, coingecko_id: "bitcoin" },
    StarterAsset { ticker: "ETH", level: 1, coingecko_id: "ethereum" },
    StarterAsset { ticker: "SOL", level: 2, coingecko_id: "solana" },
    StarterAsset { ticker: "USDT", level: 0, coingecko_id: "tether" },
];

impl StarterAsset {
    /// The value of a key as JSON, where it differs from the example of the table.
    fn value(&self, key: &str) -> Option<String> {
        let is_stablecoin = self.level == 0;
        match key {
            "ticker" => Some(format!("\"{}\"", self.ticker)),
            "level" => Some(self.level.to_string()),
            "coingecko_id" => Some(format!("\"{}\"", self.coingecko_id)),
            "strategy_file" => Some(format!("\"{}_strategy.json\"", self.ticker)),
            "exchange" if is_stablecoin => Some("\"N/A\"".to_owned()),
            "position_interval" | "trend_interval" if is_stablecoin => Some("0".to_owned()),
            _ => None,
        }
    }
}

/// The name of the one entry that the starter writes into a map.
fn starter_name(section: &Section) -> &'static str {
    if section.key == "exchange_configurations" { "binance" } else { "main" }
}

fn write_fields(
    text: &mut String,
    section: &Section,
    indent: usize,
    with_docs: bool,
    value_of: &dyn Fn(&Field) -> Option<String>,
) {
    for (index, field) in section.fields.iter().enumerate() {
        if with_docs {
            let _ = writeln!(text, "{:indent$}// {}", "", field.doc);
        }
        let given = field.example.or(field.default).unwrap_or("null");
        let value = value_of(field).unwrap_or_else(|| given.to_owned());
        let comma = if index + 1 < section.fields.len() { "," } else { "" };
        let _ = writeln!(text, "{:indent$}\"{}\": {value}{comma}", "", field.key);
    }
}
