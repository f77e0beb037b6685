//! One running stage in one line of a terminal, cut sensibly when the terminal is narrow.

use console::{measure_text_width, truncate_str};

use crate::quantity;
use crate::screen::Screen;

/// What is known of a running stage.
#[derive(Debug, Clone, Default)]
pub struct StageLine {
    pub name: String,
    /// From 1.
    pub attempt: u32,
    pub elapsed_seconds: f64,
    pub done: Option<u64>,
    pub total: Option<u64>,
    pub unit: Option<String>,
    pub message: Option<String>,
    pub loss: Option<f64>,
    /// Units a second.
    pub rate: Option<f64>,
    pub seconds_left: Option<f64>,
}

/// The parts after the name, in the order in which they stand. A narrow terminal loses those of
/// the highest rank first.
struct Part {
    text: String,
    rank: u8,
}

/// Renders `line` in at most `screen.width` columns; the name takes `name_width` of them.
pub fn stage_line(line: &StageLine, name_width: usize, screen: &Screen) -> String {
    let mut parts = parts(line, screen);
    let name = padded(&line.name, name_width.min(screen.width));
    loop {
        let width: usize = measure_text_width(&name)
            + parts
                .iter()
                .map(|part| measure_text_width(&part.text) + 2)
                .sum::<usize>();
        if width <= screen.width {
            break;
        }
        let Some(worst) = (0..parts.len()).max_by_key(|&index| parts[index].rank) else {
            break;
        };
        parts.remove(worst);
    }
    let mut out = screen.bold(&name);
    for part in parts {
        out.push_str("  ");
        out.push_str(&part.text);
    }
    out
}

fn parts(line: &StageLine, screen: &Screen) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |rank, text: String| parts.push(Part { text, rank });
    if let (Some(done), Some(total)) = (line.done, line.total.filter(|total| *total > 0)) {
        let share = (done as f64 / total as f64).clamp(0.0, 1.0);
        let columns = if screen.width >= 100 { 20 } else { 10 };
        add(
            3,
            format!(
                "{} {:>3}%",
                bar(share, columns, screen),
                (share * 100.0).floor()
            ),
        );
        add(4, counts(done, Some(total), line.unit.as_deref()));
    } else if let Some(done) = line.done {
        add(4, counts(done, None, line.unit.as_deref()));
    }
    if let Some(loss) = line.loss {
        add(1, format!("loss {loss:.4}"));
    }
    if let Some(rate) = line.rate {
        add(5, format!("{}/s", quantity::short_count(rate)));
    }
    match line.seconds_left {
        Some(left) => add(2, format!("{} left", whole_seconds(left))),
        None => add(2, whole_seconds(line.elapsed_seconds)),
    }
    if line.attempt > 1 {
        add(6, screen.yellow(&format!("attempt {}", line.attempt)));
    }
    if let Some(message) = line.message.as_deref().filter(|text| !text.is_empty()) {
        add(7, screen.dim(&one_line(message)));
    }
    parts
}

fn counts(done: u64, total: Option<u64>, unit: Option<&str>) -> String {
    let mut text = match total {
        Some(total) => format!("{done}/{total}"),
        None => done.to_string(),
    };
    if let Some(unit) = unit {
        text.push(' ');
        text.push_str(&one_line(unit));
    }
    text
}

/// A bar of `columns` characters, filled to `share` (0 to 1).
pub fn bar(share: f64, columns: usize, screen: &Screen) -> String {
    let filled = ((share * columns as f64).floor() as usize).min(columns);
    format!(
        "{}{}",
        screen.green(&"━".repeat(filled)),
        screen.dim(&"─".repeat(columns - filled))
    )
}

/// Seconds without the decimals that would flicker.
pub fn whole_seconds(seconds: f64) -> String {
    if seconds < 59.5 {
        format!("{:.0}s", seconds.max(0.0))
    } else {
        quantity::seconds(seconds)
    }
}

/// `text` in exactly `width` columns, cut with an ellipsis where it is longer.
fn padded(text: &str, width: usize) -> String {
    let text = one_line(text);
    let mut cut = if measure_text_width(&text) > width {
        truncate_str(&text, width, "…").into_owned()
    } else {
        text
    };
    let missing = width.saturating_sub(measure_text_width(&cut));
    cut.extend(std::iter::repeat_n(' ', missing));
    cut
}

/// Text from a worker without colours and the control characters that would move the cursor.
pub fn one_line(text: &str) -> String {
    console::strip_ansi_codes(text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(width: usize) -> Screen {
        Screen {
            terminal: true,
            width,
            color: false,
        }
    }

    fn training() -> StageLine {
        StageLine {
            name: "finetune[model=supermoe,seed=1]".to_owned(),
            attempt: 2,
            elapsed_seconds: 62.4,
            done: Some(1234),
            total: Some(4000),
            unit: Some("steps".to_owned()),
            message: Some("epoch 2".to_owned()),
            loss: Some(0.22314),
            rate: Some(31.24),
            seconds_left: Some(88.5),
        }
    }

    #[test]
    fn a_line_loses_its_least_useful_parts_first() {
        let lines: Vec<String> = [140, 110, 90, 80, 60, 40, 20]
            .into_iter()
            .map(|width| {
                let line = stage_line(&training(), (width * 2 / 5).min(32), &screen(width));
                assert!(measure_text_width(&line) <= width, "{width}: {line:?}");
                format!("{width:>3} |{line}|")
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_stage_that_says_nothing_shows_its_time() {
        let line = StageLine {
            name: "prepare".to_owned(),
            attempt: 1,
            elapsed_seconds: 3.7,
            ..StageLine::default()
        };
        assert_eq!(stage_line(&line, 10, &screen(80)), "prepare     4s");
    }

    #[test]
    fn what_a_worker_says_cannot_move_the_cursor() {
        let line = StageLine {
            name: "a".to_owned(),
            message: Some("one\ntwo\u{1b}[2J\r".to_owned()),
            ..StageLine::default()
        };
        let shown = stage_line(&line, 1, &screen(80));
        assert!(!shown.contains(['\n', '\r', '\u{1b}']), "{shown:?}");
    }

    #[test]
    fn more_than_everything_is_a_full_bar() {
        let line = StageLine {
            name: "a".to_owned(),
            done: Some(12),
            total: Some(10),
            ..StageLine::default()
        };
        assert!(stage_line(&line, 1, &screen(80)).contains("100%"));
    }
}
