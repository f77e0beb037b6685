//! The lines at the bottom of a terminal: the running stages that fit, and a total.

use std::time::Duration;

use console::{measure_text_width, truncate_str};

use crate::progress::stage_line::{bar, stage_line, whole_seconds};
use crate::progress::tally::Tally;
use crate::screen::Screen;

/// At most `height` lines; the last one is the total.
pub fn frame(tally: &Tally, now: Duration, screen: &Screen, height: usize) -> Vec<String> {
    let room = height.saturating_sub(2).max(1);
    let running: Vec<_> = tally.lines(now).take(room).collect();
    let name_width = running
        .iter()
        .map(|line| measure_text_width(&line.name))
        .max()
        .unwrap_or(0)
        .min(screen.width * 2 / 5)
        .max(8);
    let mut lines: Vec<String> = running
        .iter()
        .map(|line| stage_line(line, name_width, screen))
        .collect();
    let hidden = tally.running() - running.len();
    if hidden > 0 {
        let text = format!("… and {hidden} more running");
        lines.push(screen.dim(&truncate_str(&text, screen.width, "…")));
    }
    lines.push(total_line(tally, now, screen));
    lines
}

/// `━━━━──── 12/40 stages  8 cached  4 ran  2 running  1m 02s`
fn total_line(tally: &Tally, now: Duration, screen: &Screen) -> String {
    let mut parts = vec![format!("{}/{} stages", tally.finished(), tally.stages)];
    let mut add = |count: usize, text: String| {
        if count > 0 {
            parts.push(text);
        }
    };
    add(
        tally.failed,
        screen.red(&format!("{} failed", tally.failed)),
    );
    add(tally.cached, format!("{} cached", tally.cached));
    add(tally.ran, format!("{} ran", tally.ran));
    add(
        tally.skipped,
        screen.yellow(&format!("{} skipped", tally.skipped)),
    );
    add(
        tally.cancelled,
        screen.yellow(&format!("{} cancelled", tally.cancelled)),
    );
    add(tally.running(), format!("{} running", tally.running()));
    parts.push(whole_seconds(now.as_secs_f64()));
    let fits = |parts: &[String]| measure_text_width(&parts.join("  ")) <= screen.width;
    let share = tally.finished() as f64 / tally.stages.max(1) as f64;
    for columns in [20, 10] {
        parts.insert(0, bar(share, columns, screen));
        if fits(&parts) {
            return parts.join("  ");
        }
        parts.remove(0);
    }
    while !fits(&parts) && parts.len() > 1 {
        parts.pop();
    }
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::tally::Ended;
    use supermoe_plugin::event::Progress;

    fn screen(width: usize) -> Screen {
        Screen {
            terminal: true,
            width,
            color: false,
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn big_run() -> Tally {
        let mut tally = Tally::of(10_000);
        tally.cached = 9_200;
        for number in 0..40 {
            tally.started(
                &format!("finetune[model=supermoe,seed={number}]"),
                1,
                None,
                at(60),
            );
        }
        tally.progress(
            "finetune[model=supermoe,seed=0]",
            &Progress {
                done: 10,
                total: Some(40),
                unit: Some("steps".to_owned()),
                loss: Some(0.7512),
                ..Progress::default()
            },
            at(70),
        );
        for number in 0..3 {
            tally.ended(&format!("other{number}"), Ended::Ran);
        }
        tally.ended("broken", Ended::Failed);
        tally
    }

    #[test]
    fn ten_thousand_stages_fit_on_a_small_terminal() {
        let lines = frame(&big_run(), at(75), &screen(80), 8);
        assert!(lines.len() <= 8);
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_narrow_terminal_is_never_overrun() {
        for width in [20, 30, 45, 60] {
            for line in frame(&big_run(), at(75), &screen(width), 5) {
                assert!(measure_text_width(&line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn colours_take_no_columns() {
        let colored = Screen {
            color: true,
            ..screen(80)
        };
        let with = frame(&big_run(), at(75), &colored, 8);
        let without = frame(&big_run(), at(75), &screen(80), 8);
        let stripped: Vec<String> = with
            .iter()
            .map(|line| console::strip_ansi_codes(line).into_owned())
            .collect();
        assert_eq!(stripped, without);
        assert_ne!(with, without);
    }
}
