//! Takes secret values out of text that streams by, also where a value is split over reads.

/// Stands in place of a secret.
const MASK: &[u8] = b"***";

#[derive(Debug, Clone)]
pub struct Redactor {
    patterns: Vec<Vec<u8>>,
    /// Whether a pattern begins with a byte.
    begins: Box<[bool; 256]>,
    longest: usize,
    /// The end of what was pushed, where a secret may have begun.
    held: Vec<u8>,
}

impl Redactor {
    /// Redacts these values: as they are, as JSON writes them, and line by line. `None` where
    /// there is nothing to hide.
    pub fn new(secrets: &[String]) -> Option<Self> {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        for secret in secrets {
            let secret = secret.trim();
            let escaped = serde_json::to_string(secret).unwrap_or_default();
            // Short lines of a long secret are words that occur by themselves.
            let lines = secret.lines().map(str::trim).filter(|line| line.len() >= 8);
            let forms = [secret, escaped.trim_matches('"')].into_iter().chain(lines);
            patterns.extend(
                forms
                    .filter(|form| !form.is_empty())
                    .map(|form| form.into()),
            );
        }
        patterns.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        patterns.dedup();
        let longest = patterns.first()?.len();
        let mut begins = Box::new([false; 256]);
        for pattern in &patterns {
            begins[usize::from(pattern[0])] = true;
        }
        Some(Redactor {
            patterns,
            begins,
            longest,
            held: Vec::new(),
        })
    }

    /// Appends to `out` what of `bytes`, and of what was held back before, can be told to hold
    /// no secret; secrets become `***`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let settled = self.redact(&text, End::MoreMayCome, out);
        self.held = text.split_off(settled);
    }

    /// Appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.held);
        self.redact(&text, End::Complete, out);
    }

    /// A whole text without its secrets.
    pub fn redact_text(&self, text: &str) -> String {
        let mut out = Vec::with_capacity(text.len());
        self.redact(text.as_bytes(), End::Complete, &mut out);
        // Secrets are whole texts, so that what is left is whole too.
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Returns how many bytes were settled; the others wait for more.
    fn redact(&self, text: &[u8], end: End, out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        let mut copied = 0;
        while at < text.len() {
            if !self.begins[usize::from(text[at])] {
                at += 1;
                continue;
            }
            if end == End::MoreMayCome && self.may_go_on(text, at) {
                break;
            }
            match self.secret_end(text, at) {
                None => at += 1,
                Some(secret_end) => {
                    // Secrets that overlap are one.
                    let mut until = secret_end;
                    let mut inner = at + 1;
                    while inner < until {
                        if end == End::MoreMayCome && self.may_go_on(text, inner) {
                            out.extend_from_slice(&text[copied..at]);
                            return at;
                        }
                        until = until.max(self.secret_end(text, inner).unwrap_or(0));
                        inner += 1;
                    }
                    out.extend_from_slice(&text[copied..at]);
                    out.extend_from_slice(MASK);
                    at = until;
                    copied = until;
                }
            }
        }
        out.extend_from_slice(&text[copied..at]);
        at
    }

    /// Whether the text from here to its end is the beginning of a longer secret.
    fn may_go_on(&self, text: &[u8], at: usize) -> bool {
        let rest = &text[at..];
        rest.len() < self.longest
            && self
                .patterns
                .iter()
                .any(|pattern| pattern.len() > rest.len() && pattern.starts_with(rest))
    }

    fn secret_end(&self, text: &[u8], at: usize) -> Option<usize> {
        self.patterns
            .iter()
            .find(|pattern| text[at..].starts_with(pattern))
            .map(|pattern| at + pattern.len())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    MoreMayCome,
    Complete,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(secrets: &[&str], reads: &[&[u8]]) -> String {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let mut redactor = Redactor::new(&secrets).expect("secrets");
        let mut out = Vec::new();
        for read in reads {
            redactor.push(read, &mut out);
        }
        redactor.finish(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn values_split_over_reads_are_found() {
        assert_eq!(stream(&["hunter2"], &[b"a hun", b"ter", b"2 b"]), "a *** b");
        assert_eq!(stream(&["hunter2"], &[b"a hun", b"ger"]), "a hunger");
        assert_eq!(
            stream(&["abc", "abcdef"], &[b"abc", b"def abc", b"d"]),
            "*** ***d"
        );
    }

    #[test]
    fn overlapping_secrets_leave_no_rest() {
        assert_eq!(stream(&["abcd", "cdef"], &[b"xabcdefx"]), "x***x");
        assert_eq!(stream(&["abcd", "cdef"], &[b"xabc", b"de", b"fx"]), "x***x");
    }

    #[test]
    fn json_forms_and_lines_are_secrets_too() {
        assert_eq!(stream(&["a\"b"], &[br#"{"x":"a\"b"}"#]), r#"{"x":"***"}"#);
        let key = "BEGIN KEY\nabcdefghij\nEND";
        assert_eq!(stream(&[key], &[b"> abcdefghij"]), "> ***");
    }

    #[test]
    fn nothing_to_hide_is_no_redactor() {
        assert!(Redactor::new(&[]).is_none());
        assert!(Redactor::new(&[" ".to_owned(), String::new()]).is_none());
    }

    proptest! {
        #[test]
        fn splitting_changes_nothing(
            text in "[abc]{0,40}",
            secrets in prop::collection::vec("[abc]{1,5}", 1..4),
            cuts in prop::collection::vec(0usize..40, 0..5),
        ) {
            let redactor = Redactor::new(&secrets).expect("secrets");
            let whole = redactor.redact_text(&text);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort();
            let mut streaming = redactor.clone();
            let mut out = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([text.len()]) {
                streaming.push(&text.as_bytes()[from..cut], &mut out);
                from = cut;
            }
            streaming.finish(&mut out);
            prop_assert_eq!(String::from_utf8_lossy(&out).into_owned(), whole.clone());
            for secret in &secrets {
                prop_assert!(!whole.contains(secret.as_str()));
            }
        }
    }
}
