//! Columns of text, aligned by what is seen: colours have no width.

use console::measure_text_width;

/// Lays rows out in columns, two spaces apart; the last column is not padded.
pub fn columns(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, text) in row.iter().enumerate() {
            let width = measure_text_width(text);
            match widths.get_mut(column) {
                Some(widest) => *widest = (*widest).max(width),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let start = out.len();
        for (column, text) in row.iter().enumerate() {
            out.push_str(text);
            if column + 1 < row.len() {
                let gap = widths[column] - measure_text_width(text) + 2;
                out.extend(std::iter::repeat_n(' ', gap));
            }
        }
        let kept = out[start..].trim_end().len();
        out.truncate(start + kept);
        out.push('\n');
    }
    out
}

/// Breaks text between words into lines of at most `width` columns, each indented; a word that
/// is longer than a line keeps its length.
pub fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let margin = " ".repeat(indent);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 1 + measure_text_width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{margin}{word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{columns, wrapped};

    #[test]
    fn text_breaks_between_words() {
        assert_eq!(
            wrapped("one two three extraordinarily", 9, 2),
            ["  one two", "  three", "  extraordinarily"]
        );
        assert!(wrapped(" ", 9, 2).is_empty());
    }

    #[test]
    fn columns_align_and_lines_end_without_spaces() {
        let rows = [
            vec!["a".to_owned(), "long one".to_owned(), "x".to_owned()],
            vec!["wide".to_owned(), "b".to_owned(), String::new()],
        ];
        assert_eq!(columns(&rows), "a     long one  x\nwide  b\n");
    }
}
