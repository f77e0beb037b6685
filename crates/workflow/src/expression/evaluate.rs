//! The value of an expression, with the digits of numbers as they were written.

use serde_json::Value;

use crate::codes::Code;
use crate::expression::Mistake;
use crate::expression::grammar::{Comparison, Expression, Path};
use crate::node::describe_value;

/// A value and, for a number, the digits that it was written with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolved {
    pub value: Value,
    pub digits: Option<String>,
}

impl Resolved {
    pub fn new(value: Value) -> Self {
        Resolved {
            value,
            digits: None,
        }
    }

    /// As a text within other text; none for lists and maps.
    pub fn text(&self) -> Option<String> {
        match &self.value {
            Value::Null => Some(String::new()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Number(number) => {
                Some(self.digits.clone().unwrap_or_else(|| number.to_string()))
            }
            Value::String(text) => Some(text.clone()),
            Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// The value of an expression; `look_up` gives the values of names.
pub(crate) fn evaluate(
    expression: &Expression<'_>,
    look_up: &mut dyn FnMut(&Path<'_>) -> Result<Resolved, Mistake>,
) -> Result<Resolved, Mistake> {
    Ok(match expression {
        Expression::Null => Resolved::new(Value::Null),
        Expression::Bool(value) => Resolved::new(Value::Bool(*value)),
        Expression::Number(text, number) => Resolved {
            value: Value::Number(number.clone()),
            digits: Some((*text).to_owned()),
        },
        Expression::Text(text) => Resolved::new(Value::String(text.clone().into_owned())),
        Expression::Path(path) => look_up(path)?,
        Expression::Not(inner) => {
            Resolved::new(Value::Bool(!is_true(&evaluate(inner, look_up)?.value)))
        }
        Expression::Or(pair) => {
            let left = evaluate(&pair[0], look_up)?;
            if is_true(&left.value) {
                left
            } else {
                evaluate(&pair[1], look_up)?
            }
        }
        Expression::And(pair) => {
            let left = evaluate(&pair[0], look_up)?;
            if is_true(&left.value) {
                evaluate(&pair[1], look_up)?
            } else {
                left
            }
        }
        Expression::Equal(both) => Resolved::new(Value::Bool(equal(both, look_up)?)),
        Expression::NotEqual(both) => Resolved::new(Value::Bool(!equal(both, look_up)?)),
    })
}

/// Nothing, `false` and the empty text are false; all else, 0 too, is true.
pub(crate) fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("")
}

fn equal(
    both: &Comparison<'_>,
    look_up: &mut dyn FnMut(&Path<'_>) -> Result<Resolved, Mistake>,
) -> Result<bool, Mistake> {
    let left = evaluate(&both.left, look_up)?.value;
    let right = evaluate(&both.right, look_up)?.value;
    if kind(&left) != kind(&right) && !left.is_null() && !right.is_null() {
        return Err(Mistake {
            start: both.start,
            end: both.end,
            code: Code::ExpressionType,
            message: format!("{} is compared with {}: they are never equal", describe_value(&left), describe_value(&right)),
            help: "Compare values of one type: texts stand in single quotes, numbers, true and false do not.".to_owned(),
        });
    }
    Ok(same(&left, &right))
}

/// Equality of JSON values, with 1 and 1.0 the same number.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left.is_f64() != right.is_f64() && left.as_f64() == right.as_f64())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expression::grammar::read;

    fn unknown() -> Mistake {
        Mistake {
            start: 0,
            end: 0,
            code: Code::UnknownName,
            message: String::new(),
            help: String::new(),
        }
    }

    fn value(text: &str) -> Result<Value, Mistake> {
        let expression = read(text, 0)?;
        evaluate(&expression, &mut |path| {
            Ok(Resolved::new(match path.text {
                "p.null" => Value::Null,
                "p.zero" => json!(0),
                "p.one" => json!(1),
                "p.empty" => json!(""),
                "p.list" => json!([1, 2]),
                _ => return Err(unknown()),
            }))
        })
        .map(|resolved| resolved.value)
    }

    #[test]
    fn or_and_and_give_one_of_their_values() {
        for (text, expected) in [
            ("p.null || 'x'", json!("x")),
            ("p.empty || 'x'", json!("x")),
            ("p.zero || 5", json!(0)),
            ("p.one == 1 && 'a' || 'b'", json!("a")),
            ("p.one != 1 && 'a' || 'b'", json!("b")),
            ("p.list", json!([1, 2])),
            ("!p.null", json!(true)),
            ("p.one == 1.0", json!(true)),
            ("p.null == 'x'", json!(false)),
            ("p.null == null", json!(true)),
            ("'a''b'", json!("a'b")),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn values_of_two_types_are_not_compared() {
        let Err(mistake) = value("p.one == '1'") else {
            panic!("a number and a text")
        };
        assert_eq!(mistake.code, Code::ExpressionType);
        assert_eq!((mistake.start, mistake.end), (0, 12));
    }

    #[test]
    fn numbers_keep_their_digits() {
        let expression = read("1.10", 0).expect("right");
        let resolved = evaluate(&expression, &mut |_| Err(unknown())).expect("a number");
        assert_eq!(resolved.text().as_deref(), Some("1.10"));
    }
}
