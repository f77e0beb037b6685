//! What a message shows of a file: long lines are cut to a window around what is marked, since
//! nobody reads ten thousand columns, and the renderer cannot count beyond 65,535.

use crate::source::Span;

/// Lines up to this many bytes are shown whole.
const LONG_LINE: usize = 240;
/// Bytes shown before a mark in a long line.
const BEFORE: usize = 60;
/// Bytes shown from the beginning of a mark on.
const AFTER: usize = 120;
const CUT: &str = "…";

/// The text with long lines cut, and where the marks stand in it. Each mark stands on one line.
pub(crate) fn excerpt(text: &str, marks: &[Span]) -> (String, Vec<Span>) {
    let mut shown = String::with_capacity(text.len().min(1 << 20));
    let mut moved = marks.to_vec();
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        let line_end = line_start + line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        let here = |mark: &Span| {
            (line_start..line_end).contains(&mark.start)
                || (mark.start == line_end && line_end == text.len() && !line.ends_with('\n'))
        };
        let first = marks
            .iter()
            .filter(|mark| here(mark))
            .map(|mark| mark.start)
            .min();
        let (from, to) = window(content, first.map(|start| start - line_start));
        if from > 0 {
            shown.push_str(CUT);
        }
        let shown_start = shown.len();
        shown.push_str(&content[from..to]);
        for (mark, moved) in marks.iter().zip(&mut moved).filter(|(mark, _)| here(mark)) {
            let place = |at: usize| shown_start + (at - line_start).clamp(from, to) - from;
            *moved = Span::new(place(mark.start), place(mark.end.min(line_end)));
        }
        if to < content.len() {
            shown.push_str(CUT);
        }
        shown.push_str(&line[content.len()..]);
        line_start = line_end;
    }
    // A mark at the very end, after the last line, stands on an empty line of its own.
    if text.is_empty() || text.ends_with('\n') {
        let at_end = |(_, mark): &(&mut Span, &Span)| mark.start >= text.len();
        for (moved, _) in moved.iter_mut().zip(marks).filter(at_end) {
            *moved = Span::new(shown.len(), shown.len());
        }
    }
    (shown, moved)
}

/// Which bytes of a line are shown: all of a short one, of a long one those around the mark.
fn window(line: &str, mark: Option<usize>) -> (usize, usize) {
    if line.len() <= LONG_LINE {
        return (0, line.len());
    }
    let mark = mark.unwrap_or(0).min(line.len());
    (
        line.floor_char_boundary(mark.saturating_sub(BEFORE)),
        line.floor_char_boundary((mark + AFTER).min(line.len())),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_lines_stay_as_they_are() {
        let text = "a: 1\r\nb: ü\n";
        let marks = [
            Span::new(0, 1),
            Span::new(9, 11),
            Span::new(text.len(), text.len()),
        ];
        assert_eq!(excerpt(text, &marks), (text.to_owned(), marks.to_vec()));
    }

    #[test]
    fn a_long_line_is_cut_around_its_mark() {
        let text = format!(
            "first\n{}here{}\nlast",
            "x".repeat(70_000),
            "y".repeat(1000)
        );
        let at = text.find("here").expect("it is there");
        let (shown, marks) = excerpt(&text, &[Span::new(at, at + 4)]);
        assert!(shown.len() < 300, "{shown}");
        assert_eq!(&shown[marks[0].start..marks[0].end], "here");
        assert!(
            shown.starts_with("first\n…xx") && shown.ends_with("yy…\nlast"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn marks_stay_within_the_text_and_on_their_line(
            parts in prop::collection::vec(prop::sample::select(vec!["ü", "x", "\n", "\r\n", "lang "]), 0..40),
            repeat in 1_usize..80,
            start in 0_usize..4000,
            length in 0_usize..400,
        ) {
            let text: String = parts.iter().map(|part| part.repeat(repeat)).collect();
            let start = text.floor_char_boundary(start.min(text.len()));
            let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |at| start + at);
            let end = text.floor_char_boundary((start + length).min(line_end)).max(start);
            let (shown, marks) = excerpt(&text, &[Span::new(start, end)]);
            let marked = &shown[marks[0].start..marks[0].end];
            prop_assert!(text[start..end].starts_with(marked));
            let line = |text: &str, at: usize| text[..at].matches('\n').count();
            prop_assert_eq!(line(&shown, marks[0].start), line(&text, start));
            prop_assert!(shown.lines().all(|line| line.len() <= LONG_LINE));
        }
    }
}
