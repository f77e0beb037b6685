//! Text in Markdown: names and values of data that can only ever be text.

/// One line that cannot be taken for markup, in a table's cell either.
pub fn markdown_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '>' => out.extend(['\\', letter]),
            _ if letter.is_control() => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_is_markup() {
        assert_eq!(
            markdown_text("a|b\n<img src=x>`c` _d_\u{1b}[1m &amp;"),
            "a\\|b &lt;img src=x\\>\\`c\\` \\_d\\_ \\[1m &amp;amp;"
        );
        assert_eq!(markdown_text("model=ple, seed 1"), "model=ple, seed 1");
    }
}
