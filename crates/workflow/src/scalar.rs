//! What a plain scalar means: YAML 1.2's core schema, with `true` and `false` as the only booleans.

use std::borrow::Cow;

use serde_json::Number;

use crate::node::{Kind, WrittenNumber};

/// The meaning of a scalar without quotes and tag.
pub(crate) fn plain(text: Cow<'_, str>) -> Kind<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" => Kind::Bool(true),
        "false" => Kind::Bool(false),
        other => match number(other) {
            Some(value) => Kind::Number(Box::new(WrittenNumber { text, value })),
            None => Kind::Text(text),
        },
    }
}

/// The number that a text is: none where it is no number, `Some(None)` where it is one that JSON
/// does not have.
pub(crate) fn number(text: &str) -> Option<Option<Number>> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(None);
    }
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        if unsigned.is_empty() {
            return None;
        }
        let text = text.strip_prefix('+').unwrap_or(text);
        return Some(
            text.parse::<u64>()
                .ok()
                .map(Number::from)
                .or_else(|| text.parse::<i64>().ok().map(Number::from)),
        );
    }
    if is_float(unsigned) {
        return Some(text.parse::<f64>().ok().and_then(Number::from_f64));
    }
    None
}

fn radix(digits: &str, radix: u32) -> Option<Option<Number>> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    Some(u64::from_str_radix(digits, radix).ok().map(Number::from))
}

/// `( . digits | digits ( . digits? )? ) ( e sign? digits )?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_is_right = match mantissa.split_once('.') {
        Some((whole, part)) => {
            digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_is_right
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(text: &str) -> Kind<'_> {
        plain(Cow::Borrowed(text))
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        assert_eq!(kind("true"), Kind::Bool(true));
        for text in ["yes", "no", "on", "off", "True", "TRUE", "y"] {
            assert_eq!(kind(text), Kind::Text(Cow::Borrowed(text)));
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, json) in [
            ("1.10", "1.1"),
            ("+5", "5"),
            ("-0.5", "-0.5"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("1e3", "1000.0"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("007", "7"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
        ] {
            let Kind::Number(number) = kind(text) else {
                panic!("{text} is a number")
            };
            let value = number.value.map(|value| value.to_string());
            assert_eq!((number.text.as_ref(), value.as_deref()), (text, Some(json)));
        }
    }

    #[test]
    fn what_json_has_not_is_still_a_number() {
        for text in [
            ".inf",
            "-.INF",
            ".nan",
            "123456789012345678901234567890",
            "1e999",
        ] {
            assert!(
                matches!(kind(text), Kind::Number(number) if number.value.is_none()),
                "{text}"
            );
        }
    }

    #[test]
    fn dates_versions_and_signs_are_text() {
        for text in [
            "2024-01-31",
            "1.2.3",
            "-",
            "+",
            ".",
            "1e",
            "e5",
            "0x",
            "0o8",
            "1_000",
            "12:30",
            "-.nan",
            "..5",
        ] {
            assert!(matches!(kind(text), Kind::Text(_)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_meaning(text in ".*") {
            kind(&text);
        }

        #[test]
        fn integers_are_read_back(value: i64) {
            let text = value.to_string();
            prop_assert_eq!(number(&text).flatten().and_then(|number| number.as_i64()), Some(value));
        }

        #[test]
        fn floats_are_read_back(value in proptest::num::f64::NORMAL) {
            let text = format!("{value:e}");
            prop_assert_eq!(number(&text).flatten().and_then(|number| number.as_f64()), Some(value));
        }
    }
}
