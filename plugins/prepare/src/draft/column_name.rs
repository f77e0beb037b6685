//! Names of columns: as they stand in the file, in SQL, and as the identifiers that they become.

use std::collections::HashSet;

use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

use crate::expression::SPECIAL_COLUMNS;

/// Longest identifier that is made of a column's name.
const MOST_CHARACTERS: usize = 40;

/// An identifier as SQL reads it: bare where that is safe.
pub fn sql(name: &str) -> String {
    let word = name.bytes().enumerate().all(|(at, byte)| {
        byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit())
    });
    let upper = name.to_ascii_uppercase();
    let keyword = ALL_KEYWORDS.binary_search(&upper.as_str()).is_ok();
    match word && !name.is_empty() && !keyword {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// A text as SQL reads it.
pub fn sql_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A column's name in a message: in backquotes, on one line, not too long.
pub fn shown(name: &str) -> String {
    if name.trim().is_empty() {
        return "a column without a name".to_owned();
    }
    let visible = name.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = visible.take(MOST_CHARACTERS).collect();
    if name.chars().count() > MOST_CHARACTERS {
        short.push('…');
    }
    format!("`{short}`")
}

/// Gives out identifiers, each once.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// An identifier for a column of the file: lower-case letters, digits and `_`, no name that means
    /// something else to `prepare`.
    pub fn of_column(&mut self, name: &str, position: usize) -> String {
        let mut word = identifier(name);
        if word.is_empty() {
            word = format!("column_{}", position + 1);
        }
        if SPECIAL_COLUMNS.contains(&word.as_str()) {
            word.push_str("_value");
        }
        self.unique(&word)
    }

    /// The word itself, or with a number where it is taken.
    pub fn unique(&mut self, word: &str) -> String {
        let mut name = word.to_owned();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{word}_{number}");
            number += 1;
        }
        name
    }
}

/// Lower-case words joined by `_`; empty where nothing of the name can be kept.
pub fn identifier(name: &str) -> String {
    let mut word = String::new();
    let mut previous_is_lower = false;
    for c in name.chars().take(4 * MOST_CHARACTERS) {
        if c.is_ascii_uppercase() && previous_is_lower {
            word.push('_');
        }
        previous_is_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        match plain_letter(c) {
            Some(letters) => word.push_str(letters),
            None if c.is_ascii_alphanumeric() => word.push(c.to_ascii_lowercase()),
            None if !word.ends_with('_') => word.push('_'),
            None => {}
        }
    }
    let mut word: String = word
        .trim_matches('_')
        .chars()
        .take(MOST_CHARACTERS)
        .collect();
    word.truncate(word.trim_end_matches('_').len());
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        word.insert_str(0, "c_");
    }
    word
}

/// Letters of western Europe without their marks.
fn plain_letter(c: char) -> Option<&'static str> {
    let lower = c.to_lowercase().next()?;
    Some(match lower {
        'à' | 'á' | 'â' | 'ã' | 'å' => "a",
        'ä' | 'æ' => "ae",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ù' | 'ú' | 'û' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ß' => "ss",
        _ => return None,
    })
}

/// Whether a name has one of these words in it, as a word or as the end or beginning of one.
pub fn has_word(name: &str, words: &[&str]) -> bool {
    let name = identifier(name);
    let mut parts = name.split('_');
    parts.any(|part| {
        words.iter().any(|word| {
            // A plural, or a German compound such as kundennummer.
            part == *word
                || part.strip_suffix('s') == Some(word)
                || (word.len() >= 4 && (part.starts_with(word) || part.ends_with(word)))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_odd_names_are_quoted_in_sql() {
        for (name, written) in [
            ("amount_eur", "amount_eur"),
            ("CustomerRef", "CustomerRef"),
            ("order", "\"order\""),
            ("User", "\"User\""),
            ("a b", "\"a b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("1st", "\"1st\""),
            ("", "\"\""),
        ] {
            assert_eq!(sql(name), written);
        }
        assert_eq!(sql_text("it's"), "'it''s'");
    }

    #[test]
    fn identifiers_are_ascii_words_given_once() {
        for (name, word) in [
            ("Customer ID", "customer_id"),
            ("userId", "user_id"),
            ("Größe (cm)", "groesse_cm"),
            ("2nd", "c_2nd"),
            ("__x__", "x"),
            ("店铺", ""),
            ("${{ secrets.A }}", "secrets_a"),
        ] {
            assert_eq!(identifier(name), word);
        }
        let mut names = Names::default();
        assert_eq!(names.of_column("snapshot", 0), "snapshot_value");
        assert_eq!(names.of_column("店铺", 1), "column_2");
        assert_eq!(names.of_column("A b", 2), "a_b");
        assert_eq!(names.of_column("a-b", 3), "a_b_2");
    }

    #[test]
    fn words_are_found_in_names() {
        assert!(has_word("CustomerID", &["customer"]));
        assert!(has_word("Kundennummer", &["kunde"]));
        assert!(has_word("users", &["user"]));
        assert!(!has_word("paid", &["id"]));
        assert!(!has_word("valid", &["id"]));
    }
}
