//! Values of axes as a user writes them in lists: a backslash keeps a comma, `=`, a space or another
//! backslash from being what parts them.

/// What a backslash stands before to make it part of the value. Before anything else it is a letter itself.
const ESCAPED: [char; 4] = [',', '=', ' ', '\\'];

/// The parts between the commas that are not escaped, as they are written.
pub fn written_parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut escaped) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        if letter == ',' && !escaped {
            parts.push(&text[from..at]);
            from = at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.push(&text[from..]);
    parts
}

/// The value that is written so: without spaces around it and without the backslashes of what is escaped.
pub fn written_value(text: &str) -> String {
    let text = text.trim_start();
    let mut value = String::with_capacity(text.len());
    // Up to where the value's last letter that is no plain space ends.
    let mut end = 0;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let escaped = letters.next_if(|next| letter == '\\' && ESCAPED.contains(next));
        value.push(escaped.unwrap_or(letter));
        if escaped.is_some() || !letter.is_whitespace() {
            end = value.len();
        }
    }
    value.truncate(end);
    value
}

/// `text` as it has to be written to be read by [`written_value`] among others; as it is where that will do.
pub(crate) fn write_value(text: &str) -> String {
    let mut parts = text.split(',').skip(1);
    let looks_like_others = parts.any(|part| part.contains('='));
    if !looks_like_others && written_value(text) == text {
        return text.to_owned();
    }
    let mut written = String::with_capacity(text.len());
    for letter in text.chars() {
        if [',', '\\', ' '].contains(&letter) {
            written.push('\\');
        }
        written.push(letter);
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commas_part_unless_they_are_escaped() {
        assert_eq!(written_parts("a,b"), ["a", "b"]);
        assert_eq!(written_parts(r"a\,b,c\\,d"), [r"a\,b", r"c\\", "d"]);
        assert_eq!(written_parts(""), [""]);
    }

    #[test]
    fn backslashes_stand_for_themselves_before_other_letters() {
        assert_eq!(written_value(r" a\,b\=c\\d "), r"a,b=c\d");
        assert_eq!(written_value(r"\d\"), r"\d\");
        assert_eq!(written_value(r" \  "), " ");
    }

    #[test]
    fn values_are_escaped_only_where_they_would_be_misread() {
        assert_eq!(write_value("ple"), "ple");
        assert_eq!(write_value("[1,2]"), "[1,2]");
        assert_eq!(write_value("x=1,y=2"), r"x=1\,y=2");
        assert_eq!(write_value(r"C:\ "), r"C:\\\ ");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in r"[ab,=\\ ]{1,8}") {
            prop_assert_eq!(written_value(&write_value(&text)), text);
        }
    }
}
