//! Finds the line of a value in a JSON text by the names on the way to it, for messages.

/// The line, from 1, of the member that `path` names: `["inputs", "a", "type"]`.
/// Where the text holds only a part of the path, the line of the deepest part that is there.
pub fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    let mut open: Vec<Option<String>> = Vec::new();
    let mut best: Option<(usize, usize)> = None;
    let mut line = 1;
    let mut key: Option<(String, usize)> = None;
    let mut characters = text.char_indices();
    while let Some((start, character)) = characters.next() {
        match character {
            '\n' => line += 1,
            '"' => {
                let mut end = start + 1;
                let mut escaped = false;
                for (at, inner) in characters.by_ref() {
                    end = at;
                    match inner {
                        '\\' if !escaped => escaped = true,
                        '"' if !escaped => break,
                        _ => escaped = false,
                    }
                }
                let word = text.get(start..=end).unwrap_or_default();
                key = Some((serde_json::from_str(word).unwrap_or_default(), line));
            }
            ':' => {
                if let (Some((name, at)), Some(level)) = (key.take(), open.last_mut()) {
                    *level = Some(name);
                    let depth = open
                        .iter()
                        .zip(path)
                        .take_while(|(name, wanted)| name.as_deref() == Some(**wanted))
                        .count();
                    if depth == open.len() && best.is_none_or(|(deepest, _)| depth > deepest) {
                        best = Some((depth, at));
                    }
                }
            }
            '{' | '[' => open.push(None),
            '}' | ']' => {
                open.pop();
            }
            _ => {}
        }
    }
    best.map(|(_, line)| line)
}

#[cfg(test)]
mod tests {
    use super::line_of;

    const TEXT: &str = "{\n \"name\": \"a:\\\"b{\",\n \"inputs\": {\n  \"name\": {},\n  \"rows\": {\n   \"type\": \"x\"\n  }\n }\n}";

    #[test]
    fn finds_nested_members_and_their_nearest_parent() {
        assert_eq!(line_of(TEXT, &["name"]), Some(2));
        assert_eq!(line_of(TEXT, &["inputs", "rows", "type"]), Some(6));
        assert_eq!(line_of(TEXT, &["inputs", "rows", "missing"]), Some(5));
        assert_eq!(line_of(TEXT, &["nothing"]), None);
        assert_eq!(line_of("{\"a", &["a"]), None);
    }
}
