//! The drawings of one search.

use super::day;
use super::svg::{Frame, figure, shade, short};
use crate::backtest::run;
use crate::plateau::median;
use crate::results::StudyRecord;
use crate::robustness::Searched;
use crate::study::Found;
use crate::walk_forward::Scheme;
use keel_core::indicator::keltner_channel;
use std::fmt::Write;

const BLUE: &str = "#16346e";
const GREEN: &str = "#14743c";
const RED: &str = "#b5421a";
const GREY: &str = "#9aa5b1";
/// As many points as a line of the page can show.
const LINE_POINTS: usize = 900;
/// Candles in the price chart.
const PRICE_ROWS: usize = 400;

#[expect(clippy::cast_precision_loss, reason = "places on a page")]
const fn float(place: usize) -> f64 {
    place as f64
}

/// The smallest loss over all multiples, for each window and ATR length.
pub(super) fn surface_of_best(searched: &Searched<'_>, found: &Found) -> String {
    let mults = searched.space.sizes()[2];
    let cells: Vec<f64> = found
        .losses
        .chunks(mults)
        .map(|losses| losses.iter().copied().fold(f64::INFINITY, f64::min))
        .collect();
    surface(searched, &cells, found.best / mults, "Loss by window and atrs, best multiple of each")
}

/// The loss at the best point's multiple.
pub(super) fn surface_through_optimum(searched: &Searched<'_>, found: &Found) -> String {
    let mults = searched.space.sizes()[2];
    let at = found.best % mults;
    let cells: Vec<f64> = found.losses.iter().skip(at).step_by(mults).copied().collect();
    let mult = searched.space.params(found.best).mult;
    let caption = format!("Loss by window and atrs through the optimum, mult {mult}");
    surface(searched, &cells, found.best / mults, &caption)
}

fn surface(searched: &Searched<'_>, cells: &[f64], best: usize, caption: &str) -> String {
    let (windows, atrs) = (searched.space.windows(), searched.space.atrs());
    let (low, high) = spread(cells);
    let frame = Frame::new(520.0, 400.0, [0.0, float(atrs.len())], [0.0, float(windows.len())]);
    let mut svg = frame.open();
    let width = frame.at_x(1.0) - frame.at_x(0.0);
    let height = frame.at_y(0.0) - frame.at_y(1.0);
    for (number, loss) in cells.iter().enumerate() {
        let (row, column) = (number / atrs.len(), number % atrs.len());
        let share = if high > low { (loss - low) / (high - low) } else { 0.5 };
        let _ = write!(
            svg,
            "<rect x={:.1} y={:.1} width={:.1} height={:.1} fill=\"{}\" />",
            frame.at_x(float(column)),
            frame.at_y(float(row) + 1.0),
            width + 0.3,
            height + 0.3,
            shade(share)
        );
    }
    let (row, column) = (best / atrs.len(), best % atrs.len());
    let _ = write!(
        svg,
        "<circle cx={:.1} cy={:.1} r=6 fill=none stroke=\"#fff\" stroke-width=2.5 /><circle cx={:.1} cy={:.1} r=6 fill=none stroke=\"{RED}\" stroke-width=1.5 />",
        frame.at_x(float(column) + 0.5),
        frame.at_y(float(row) + 0.5),
        frame.at_x(float(column) + 0.5),
        frame.at_y(float(row) + 0.5),
    );
    for (values, is_across) in [(&atrs, true), (&windows, false)] {
        for place in [0, values.len() / 2, values.len() - 1] {
            let (value, middle) = (values[place], float(place) + 0.5);
            let _ = if is_across {
                write!(
                    svg,
                    "<text x={:.1} y={:.1} text-anchor={}>atrs {value}</text>",
                    frame.at_x(middle),
                    frame.height - 10.0,
                    if place + 1 == values.len() { "end" } else { "middle" }
                )
            } else {
                write!(
                    svg,
                    "<text x={:.1} y={:.1} text-anchor=end>win. {value}</text>",
                    frame.margin[0] - 5.0,
                    frame.at_y(middle) + 4.0
                )
            };
        }
    }
    let caption = format!(
        "{caption}; dark is good, from {} to {} (worse ones are cut off), the circle is the best point",
        short(low),
        short(high)
    );
    figure(&caption, &svg)
}

/// The smallest value, and one far beyond the median that outliers do not move.
fn spread(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let middle = median(values.to_vec()).unwrap_or(low);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, most.min(middle + 1.5 * (middle - low)))
}

/// How many points have which loss.
pub(super) fn distribution(losses: &[f64], best: f64) -> String {
    const BINS: usize = 60;
    let (low, high) = spread(losses);
    if high <= low {
        return figure("All points have the same loss", "<svg viewBox=\"0 0 1 1\">");
    }
    let mut counts = [0_u32; BINS];
    for loss in losses {
        let place = (loss - low) / (high - low) * float(BINS);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and what is beyond goes into the last bin"
        )]
        let bin = (place as usize).min(BINS - 1);
        counts[bin] += 1;
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(1));
    let frame = Frame::new(520.0, 260.0, [low, high], [0.0, most]);
    let labels: Vec<(f64, String)> = (0..=4)
        .map(|step| low + (high - low) * f64::from(step) / 4.0)
        .map(|value| (value, short(value)))
        .collect();
    let mut svg = frame.open() + &frame.axes(&labels);
    for (bin, count) in counts.iter().enumerate() {
        let left = low + (high - low) * float(bin) / float(BINS);
        let x = frame.at_x(left);
        let y = frame.at_y(f64::from(*count));
        let _ = write!(
            svg,
            "<rect x={x:.1} y={y:.1} width={:.1} height={:.1} fill=\"{BLUE}\" opacity=.75 />",
            (frame.at_x(low + (high - low) / float(BINS)) - frame.at_x(low)) - 0.6,
            frame.at_y(0.0) - y
        );
    }
    let _ = write!(
        svg,
        "<line x1={0:.1} x2={0:.1} y1=8 y2={1:.1} stroke=\"{RED}\" stroke-width=1.5 />",
        frame.at_x(best),
        frame.at_y(0.0)
    );
    figure(
        "Number of points by loss; the best one is the line on the left, worse ones than shown are in the last bar",
        &svg,
    )
}

type Value = fn(&crate::walk_forward::Fold) -> f64;

/// The best parameters of each window of time.
pub(super) fn stability(record: &StudyRecord) -> String {
    let walks = &record.walk_forward;
    let Some(most) = walks.iter().map(|walk| walk.folds.len()).max() else {
        return String::new();
    };
    let value_of: [(&str, &str, Value); 3] = [
        ("window", BLUE, |fold| f64::from(fold.window)),
        ("atrs", GREEN, |fold| f64::from(fold.atrs)),
        ("mult × 10", RED, |fold| fold.mult * 10.0),
    ];
    let highest = walks
        .iter()
        .flat_map(|walk| &walk.folds)
        .flat_map(|fold| value_of.iter().map(move |(_, _, value)| value(fold)))
        .fold(1.0, f64::max);
    let frame = Frame::new(520.0, 260.0, [0.6, float(most) + 0.4], [0.0, highest * 1.05]);
    let labels: Vec<(f64, String)> =
        (1..=most).map(|number| (float(number), format!("window {number}"))).collect();
    let mut svg = frame.open() + &frame.axes(&labels);
    for walk in walks {
        let dashes = if walk.scheme == Scheme::Rolling { "stroke-dasharray=\"5 3\"" } else { "" };
        for (_, colour, value) in &value_of {
            let points: Vec<(f64, f64)> = walk
                .folds
                .iter()
                .enumerate()
                .map(|(number, fold)| (float(number) + 1.0, value(fold)))
                .collect();
            svg.push_str(&frame.line(&points, colour, dashes));
            for (x, y) in points {
                let _ = write!(
                    svg,
                    "<circle cx={:.1} cy={:.1} r=3 fill=\"{colour}\" />",
                    frame.at_x(x),
                    frame.at_y(y)
                );
            }
        }
    }
    for (number, (name, colour, _)) in value_of.iter().enumerate() {
        let _ =
            write!(svg, "<text x={} y=20 style=\"fill:{colour}\">{name}</text>", 70 + 90 * number);
    }
    figure(
        "Best parameters of each window of time, anchored solid, rolling dashed; flat lines are stable",
        &svg,
    )
}

/// Sum of daily returns and its drawdown, for the best point and for the walk-forward tests.
pub(super) fn equity(searched: &Searched<'_>, found: &Found, record: &StudyRecord) -> String {
    let params = searched.space.params(found.point(found.best));
    let backtest = run(searched.series, params, searched.rules, *searched.period);
    let inside = sums(&backtest.daily_returns(&searched.series.traded), 0.0);
    let mut lines = vec![(inside.clone(), BLUE, "in sample, the best point", "")];
    for walk in &record.walk_forward {
        let from = float(inside.len().saturating_sub(walk.daily_returns.len()));
        let (name, dashes) = match walk.scheme {
            Scheme::Anchored => ("out of sample, anchored", ""),
            Scheme::Rolling => ("out of sample, rolling", "stroke-dasharray=\"5 3\""),
        };
        lines.push((sums(&walk.daily_returns, from), RED, name, dashes));
    }
    let span = [0.0, float(inside.len())];
    let labels: Vec<(f64, String)> = (0..=6_u32)
        .map(|step| span[1] * f64::from(step) / 6.0)
        .map(|place| {
            #[expect(clippy::cast_possible_truncation, reason = "a number of days")]
            let ms = searched.period.first_ms + place as i64 * 86_400_000;
            (place.clamp(span[1] * 0.02, span[1] * 0.98), day(ms))
        })
        .collect();
    let mut html = chart(
        "Sum of daily returns, in sample (blue) and out of sample (red; anchored solid, rolling dashed)",
        &lines,
        span,
        &labels,
        280.0,
    );
    let deep: Vec<_> = lines
        .iter()
        .map(|(points, colour, name, more)| (drawdown(points), *colour, *name, *more))
        .collect();
    html.push_str(&chart("Drawdown of the same sums", &deep, span, &labels, 180.0));
    html
}

type Line<'a> = (Vec<(f64, f64)>, &'a str, &'a str, &'a str);

fn chart(
    caption: &str,
    lines: &[Line<'_>],
    span: [f64; 2],
    labels: &[(f64, String)],
    height: f64,
) -> String {
    let values = || lines.iter().flat_map(|(points, ..)| points.iter().map(|(_, y)| *y));
    let range = [values().fold(0.0, f64::min), values().fold(0.0, f64::max)];
    let frame = Frame::new(1060.0, height, span, range);
    let mut svg = frame.open() + &frame.axes(labels);
    for (points, colour, name, more) in lines {
        svg.push_str("<g>");
        let _ = write!(svg, "<title>{name}</title>");
        svg.push_str(&frame.line(&thin(points), colour, more));
        svg.push_str("</g>");
    }
    figure(caption, &svg)
}

fn sums(returns: &[f64], from: f64) -> Vec<(f64, f64)> {
    let mut sum = 0.0;
    returns
        .iter()
        .enumerate()
        .map(|(number, value)| {
            sum += value;
            (from + float(number), sum)
        })
        .collect()
}

fn drawdown(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut high = 0.0_f64;
    points
        .iter()
        .map(|(x, y)| {
            high = high.max(*y);
            (*x, y - high)
        })
        .collect()
}

fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(LINE_POINTS).max(1);
    points.iter().copied().step_by(step).collect()
}

/// The last candles with the channel that the signals come from, and the trades.
pub(super) fn price(searched: &Searched<'_>, found: &Found) -> String {
    let params = searched.space.params(found.point(found.best));
    let backtest = run(searched.series, params, searched.rules, *searched.period);
    let bars = searched.series.signal_bars();
    let channel = keltner_channel(bars.open, bars.high, bars.low, bars.close, params);
    let rows = bars.close.len();
    let from = rows.saturating_sub(PRICE_ROWS);
    let shown = |column: &[f64]| -> Vec<(f64, f64)> {
        (from..rows).map(|row| (float(row), column[row])).collect()
    };
    let values = || {
        [bars.close, &channel.upper[..], &channel.lower[..]]
            .into_iter()
            .flat_map(move |column| column[from..].iter().copied())
    };
    let range =
        [values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max)];
    let frame = Frame::new(1060.0, 340.0, [float(from), float(rows)], range);
    let times = &searched.series.traded.open_time_ms;
    let labels: Vec<(f64, String)> = (1..6)
        .map(|step| from + (rows - from) * step / 6)
        .map(|row| (float(row), day(times[row])))
        .collect();
    let mut svg = frame.open() + &frame.axes(&labels);
    for (column, colour, more) in [
        (&channel.upper[..], GREY, ""),
        (&channel.middle[..], GREY, "stroke-dasharray=\"4 3\""),
        (&channel.lower[..], GREY, ""),
        (bars.close, BLUE, ""),
    ] {
        svg.push_str(&frame.line(&shown(column), colour, more));
    }
    let mut marks = 0;
    for trade in &backtest.trades {
        for (row, colour, points) in
            [(trade.open_row, GREEN, "0,-7 6,4 -6,4"), (trade.close_row, RED, "0,7 6,-4 -6,-4")]
        {
            if row >= from {
                // Drawn at the close of the bar before: that is what the decision was made on.
                let decided = row - 1;
                let _ = write!(
                    svg,
                    "<polygon points=\"{points}\" fill=\"{colour}\" transform=\"translate({:.1} {:.1})\"><title>{}</title></polygon>",
                    frame.at_x(float(decided)),
                    frame.at_y(bars.close[decided.max(from)]),
                    keel_core::time::Timestamp::from_ms(times[row])
                );
                marks += 1;
            }
        }
    }
    let what = if searched.series.share.is_some() { "Dominance in percent" } else { "Price" };
    let caption = format!(
        "{what} with the channel, last {} candles; {marks} entries (green) and exits (red) of {} trades in all",
        rows - from,
        backtest.trades.len()
    );
    figure(&caption, &svg)
}
