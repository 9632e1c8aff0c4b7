//! The main chart as a picture: value and falls of the run and its benchmarks, for Telegram.

use crate::curve::{drawdown, thinned};
use crate::figures::{Line, lines};
use crate::html::{day, money, percent};
use crate::story::Story;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::sync::Once;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 900;
/// Everything is drawn so many times as large and then made smaller, which smooths every edge.
const SCALE: u32 = 2;
/// Columns of the drawing that a line can use.
const COLUMNS: usize = 1000;
const FONT: &str = "keel";

const INK: RGBColor = RGBColor(28, 36, 48);
const SOFT: RGBColor = RGBColor(100, 112, 128);
const GRID: RGBColor = RGBColor(226, 231, 237);
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 78, 158),
    RGBColor(224, 138, 30),
    RGBColor(143, 107, 209),
    RGBColor(42, 157, 143),
    RGBColor(194, 85, 122),
    RGBColor(122, 134, 153),
];

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("the picture could not be drawn: {0}")]
pub struct PictureError(String);

fn failed(error: impl std::fmt::Display) -> PictureError {
    PictureError(error.to_string())
}

/// The system may have no font, so one comes along.
fn prepare_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

/// Draws the main chart as a PNG file's bytes.
///
/// # Errors
/// When the drawing fails.
pub fn main_chart(story: &Story) -> Result<Vec<u8>, PictureError> {
    prepare_font();
    let size = (WIDTH * SCALE, HEIGHT * SCALE);
    let mut pixels = vec![0_u8; (size.0 * size.1 * 3) as usize];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let lines = lines(story);
        let (_, below) = root.split_vertically(scaled(118));
        let (value, fall) = below.split_vertically(scaled(520));
        let finite =
            || lines.iter().flat_map(|line| &line.values).copied().filter(|v| v.is_finite());
        let range = [finite().fold(f64::INFINITY, f64::min), finite().fold(f64::MIN, f64::max)];
        let is_log = crate::html::is_logarithmic(range);
        header(&root, story, &lines, is_log)?;
        let drawn = |line: &Line| -> Vec<f64> {
            line.values.iter().map(|value| if is_log { value.ln() } else { *value }).collect()
        };
        let words = |v: &f64| crate::html::whole(if is_log { v.exp() } else { *v });
        chart(&value, story, &lines, drawn, words, false)?;
        let fallen = |line: &Line| drawdown(&line.values);
        let whole_percent = |v: &f64| format!("{:.0} %", (v * 100.0).round() + 0.0);
        chart(&fall, story, &lines, fallen, whole_percent, true)?;
        root.present().map_err(failed)?;
    }
    encode(&smaller(&pixels))
}

/// Pixels of the large drawing.
const fn scaled(pixels: i32) -> i32 {
    pixels * SCALE as i32
}

fn font(size: u32) -> FontDesc<'static> {
    (FONT, f64::from(size * SCALE)).into_font()
}

/// The mean of each square of pixels.
fn smaller(pixels: &[u8]) -> Vec<u8> {
    let (wide, scale) = ((WIDTH * SCALE * 3) as usize, SCALE as usize);
    let mut small = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for row in 0..HEIGHT as usize {
        for column in 0..WIDTH as usize {
            for part in 0..3 {
                let sum: u32 = (0..scale * scale)
                    .map(|n| (row * scale + n / scale, column * scale + n % scale))
                    .map(|(y, x)| u32::from(pixels[y * wide + x * 3 + part]))
                    .sum();
                small.push(u8::try_from(sum / (SCALE * SCALE)).unwrap_or(u8::MAX));
            }
        }
    }
    small
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

fn header(
    root: &Area<'_>,
    story: &Story,
    lines: &[Line],
    is_log: bool,
) -> Result<(), PictureError> {
    let write = |text: &str, size: u32, colour: RGBColor, at: (i32, i32)| {
        let at = (scaled(at.0), scaled(at.1));
        root.draw(&Text::new(text.to_owned(), at, font(size).color(&colour))).map_err(failed)
    };
    let title: String = story.title.chars().take(60).collect();
    write(&title, 34, INK, (36, 16))?;
    if let (Some(first), Some(last)) = (story.cycles.first(), story.cycles.last()) {
        let scale = if is_log { ", equal steps up are equal percentages" } else { "" };
        let span = format!("{} to {}, in {}{scale}", day(first.at), day(last.at), story.stablecoin);
        write(&span, 22, SOFT, (36, 54))?;
    }
    let mut x = 36;
    for (place, line) in lines.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let words = match place {
            0 => format!(
                "{} {} ({})",
                line.name,
                money(line.figures.end_value),
                percent(line.figures.total_return)
            ),
            _ => format!("{} {}", line.name, percent(line.figures.total_return)),
        };
        let corners = [(scaled(x), scaled(93)), (scaled(x + 24), scaled(98))];
        let bar = Rectangle::new(corners, colour.filled());
        root.draw(&bar).map_err(failed)?;
        write(&words, 21, INK, (x + 32, 87))?;
        let wide = font(21).box_size(&words).map_err(failed)?.0 / SCALE;
        x += 32 + i32::try_from(wide).unwrap_or(200) + 26;
    }
    Ok(())
}

fn chart(
    area: &Area<'_>,
    story: &Story,
    lines: &[Line],
    values: impl Fn(&Line) -> Vec<f64>,
    words: impl Fn(&f64) -> String,
    has_dates: bool,
) -> Result<(), PictureError> {
    let curves: Vec<Vec<f64>> = lines.iter().map(values).collect();
    let finite = || curves.iter().flatten().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::MIN, f64::max));
    let (low, high) =
        if low < high { (low, high) } else { (low.min(0.0) - 1.0, low.max(0.0) + 1.0) };
    let room = (high - low) * 0.03;
    let top = if has_dates { 0.0 } else { high + room };
    let count = story.cycles.len();
    let mut chart = ChartBuilder::on(area)
        .margin_left(scaled(18))
        .margin_right(scaled(34))
        .margin_top(scaled(14))
        .margin_bottom(scaled(6))
        .x_label_area_size(scaled(if has_dates { 36 } else { 12 }))
        .y_label_area_size(scaled(78))
        .build_cartesian_2d(0.0..float(count.saturating_sub(1).max(1)), low - room..top)
        .map_err(failed)?;
    let date = |place: &f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates; the place of a cycle"
        )]
        let place = (place.round() as usize).min(count.saturating_sub(1));
        story.cycles.get(place).map_or_else(String::new, |cycle| day(cycle.at))
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .x_labels(if has_dates { 6 } else { 0 })
        .y_labels(6)
        .x_label_formatter(&date)
        .y_label_formatter(&words)
        .label_style(font(20).color(&SOFT))
        .draw()
        .map_err(failed)?;
    for (number, curve) in curves.iter().enumerate().rev() {
        let colour = COLOURS[number % COLOURS.len()];
        let plane = chart.plotting_area();
        let corner = plane.get_pixel_range();
        let inside = plane.strip_coord_spec();
        let points: Vec<(i32, i32)> = thinned(curve, COLUMNS)
            .into_iter()
            .map(|(place, value)| plane.map_coordinate(&(float(place), value)))
            .map(|(x, y)| (x - corner.0.start, y - corner.1.start))
            .collect();
        // A broad line of steep zigzags has holes; thin ones side by side have none.
        let broad = [(0, 0), (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1), (2, 0), (0, 2)];
        let strokes = if number == 0 { &broad[..] } else { &broad[..4] };
        for (right, down) in strokes {
            let moved: Vec<_> = points.iter().map(|(x, y)| (x + right, y + down)).collect();
            inside.draw(&PathElement::new(moved, colour)).map_err(failed)?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "places on a picture")]
const fn float(place: usize) -> f64 {
    place as f64
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}
