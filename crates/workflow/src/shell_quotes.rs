//! Where single quotes stand in a shell command: the shell puts no values in there.

/// For each place in `places` (bytes, rising), whether it stands in single quotes, or in a here
/// document whose word is quoted.
pub(crate) fn in_single_quotes(command: &str, places: &[usize]) -> Vec<bool> {
    let mut found = vec![false; places.len()];
    for (from, to) in quoted_ranges(command) {
        let first = places.partition_point(|place| *place < from);
        for at in first..places.len() {
            if places[at] >= to {
                break;
            }
            found[at] = true;
        }
    }
    found
}

fn quoted_ranges(command: &str) -> Vec<(usize, usize)> {
    let bytes = command.as_bytes();
    let mut ranges = Vec::new();
    let mut documents: Vec<(String, bool)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' => {
                let end = find(bytes, at + 1, b'\'');
                ranges.push((at, end));
                at = end + 1;
            }
            b'"' => at = after_double_quotes(bytes, at + 1),
            // An expression's own quotes are none of the shell's.
            b'$' if command[at..].starts_with("${{") => {
                at = command[at..]
                    .find("}}")
                    .map_or(bytes.len(), |length| at + length + 2)
            }
            b'#' if at == 0
                || matches!(
                    bytes[at - 1],
                    b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'('
                ) =>
            {
                at = find(bytes, at, b'\n')
            }
            b'<' if command[at..].starts_with("<<") && !command[at..].starts_with("<<<") => {
                let (word, quoted, end) = document_word(command, at + 2);
                if !word.is_empty() {
                    documents.push((word, quoted));
                }
                at = end;
            }
            b'\n' => {
                at += 1;
                for (word, quoted) in documents.drain(..) {
                    let end = document_end(command, at, &word);
                    if quoted {
                        ranges.push((at, end));
                    }
                    at = end;
                }
            }
            _ => at += 1,
        }
    }
    ranges
}

fn find(bytes: &[u8], from: usize, byte: u8) -> usize {
    bytes
        .get(from..)
        .and_then(|rest| rest.iter().position(|other| *other == byte))
        .map_or(bytes.len(), |length| from + length)
}

fn after_double_quotes(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The word after `<<`, whether any of it is quoted, and where it ends.
fn document_word(command: &str, from: usize) -> (String, bool, usize) {
    let rest = command[from..]
        .strip_prefix('-')
        .unwrap_or(&command[from..]);
    let rest = rest.trim_start_matches([' ', '\t']);
    let start = command.len() - rest.len();
    let length = rest
        .find(|letter: char| letter.is_whitespace() || ";&|()<>".contains(letter))
        .unwrap_or(rest.len());
    let written = &rest[..length];
    let word: String = written
        .chars()
        .filter(|letter| !"'\"\\".contains(*letter))
        .collect();
    (word.clone(), word != written, start + length)
}

/// Where the line that ends a here document begins.
fn document_end(command: &str, from: usize, word: &str) -> usize {
    let mut at = from;
    for line in command.get(from..).unwrap_or("").split_inclusive('\n') {
        if line.trim_end_matches('\n').trim_start_matches('\t') == word {
            return at;
        }
        at += line.len();
    }
    command.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(command: &str) -> Vec<bool> {
        let places: Vec<usize> = command.match_indices("${{").map(|(at, _)| at).collect();
        in_single_quotes(command, &places)
    }

    #[test]
    fn quotes_are_told_apart() {
        assert_eq!(
            check("echo '${{ a }}' \"${{ b }}\" ${{ c }}"),
            [true, false, false]
        );
        assert_eq!(check("echo \"it's ${{ a }}\""), [false]);
        assert_eq!(check("echo it\\'s ${{ a }}"), [false]);
        assert_eq!(check("# don't\necho ${{ a }}"), [false]);
        assert_eq!(check("echo ${x#'}' ${{ a }}"), [false]);
        assert_eq!(check("echo ${{ a || 'x' }} '${{ b }}'"), [false, true]);
    }

    #[test]
    fn here_documents_are_known() {
        assert_eq!(
            check("cat <<EOF\nit's ${{ a }}\nEOF\necho ${{ b }}"),
            [false, false]
        );
        assert_eq!(
            check("cat <<'EOF' > x\n${{ a }}\nEOF\necho ${{ b }}"),
            [true, false]
        );
    }

    proptest! {
        #[test]
        fn no_command_makes_it_panic(command in "(['\"\\\\#<\n $-]|<<|\\$\\{\\{|\\}\\}|EOF|\\PC){0,30}") {
            check(&command);
        }
    }
}
