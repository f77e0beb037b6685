//! DataFusion's errors in the words of one who writes params: no places in its code, no names that
//! stand for none of theirs.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use supermoe_plugin::params::nearest;

/// What DataFusion puts before a message, by kind.
const KINDS: [&str; 13] = [
    "Error during planning: ",
    "Schema error: ",
    "Execution error: ",
    "Arrow error: ",
    "Parquet error: ",
    "Csv error: ",
    "Json error: ",
    "External error: ",
    "Internal error: ",
    "This feature is not implemented: ",
    "Cast error: ",
    "Compute error: ",
    "Parser error: ",
];

/// What DataFusion ends messages with that are of no use to who writes SQL.
const ENDS: [&str; 2] = [
    "This issue was likely caused by a bug",
    "Hint: Please try with",
];

/// Before the function and the types of its arguments.
const NO_SUCH_FUNCTION: &str = "No function matches the given name and argument types '";

/// The message of the innermost error.
pub fn message(error: &DataFusionError) -> String {
    let root = error.find_root();
    match root {
        DataFusionError::SQL(parser, _) => syntax(parser),
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } => {
                let known = valid_fields.iter().map(|column| column.name.as_str());
                missing("column", &field.name, known)
            }
            _ => plain(&root.strip_backtrace()),
        },
        _ => match missing_table(error) {
            Some(name) => format!("there is no table `{name}` here"),
            None => plain(&root.strip_backtrace()),
        },
    }
}

/// SQL in a message: one line, cut where it is long.
pub fn excerpt(sql: &str) -> String {
    const SHOWN: usize = 80;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() > SHOWN {
        true => line.chars().take(SHOWN).chain(['…']).collect(),
        false => line,
    }
}

fn syntax(error: &ParserError) -> String {
    match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
            format!("this is no SQL: {text}")
        }
        ParserError::RecursionLimitExceeded => "the SQL is nested too deeply".to_owned(),
    }
}

/// The name of the table that a query reads and nobody knows.
pub fn missing_table(error: &DataFusionError) -> Option<String> {
    let text = error.find_root().strip_backtrace();
    let rest = text.split_once("table '")?.1;
    let name = rest.split_once("' not found")?.0;
    let name = name.strip_prefix("datafusion.public.").unwrap_or(name);
    Some(name.to_owned())
}

/// Begins the names of columns that a program adds, which nobody is to know of.
const INTERNAL: &str = "__";

/// That nothing has this name, the nearest that there is, and all there are; names that begin with `__`
/// are a program's own.
pub fn missing<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = known.filter(|known| !known.starts_with(INTERNAL)).collect();
    let mut seen = std::collections::HashSet::new();
    all.retain(|name| seen.insert(*name));
    let mut message = format!("there is no {what} `{name}`");
    if let Some(near) = nearest(name, all.iter().copied()) {
        message.push_str(&format!("; did you mean `{near}`?"));
    }
    if !all.is_empty() {
        message.push_str(&format!(" (there are {})", all.join(", ")));
    }
    message
}

fn plain(text: &str) -> String {
    let mut text = text.trim();
    while let Some(rest) = KINDS.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    if let Some(words) = in_other_words(text) {
        return words;
    }
    for end in ENDS {
        text = text
            .split_once(end)
            .map_or(text, |(text, _)| text.trim_end());
    }
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for qualifier in ["rows.", "\"rows\".", "datafusion.public."] {
        text = text.replace(&format!("\"{qualifier}"), "\"");
        text = text.replace(&format!(" {qualifier}"), " ");
    }
    let of_text = text.contains("Cannot cast string") || text.contains("Cannot cast value");
    if of_text || (text.contains("Utf8") && text.contains("coerc")) {
        text.push_str("; where text stands among numbers, TRY_CAST(x AS DOUBLE) makes NULL of it");
    }
    text
}

/// Messages that name no fault of the SQL.
fn in_other_words(text: &str) -> Option<String> {
    if text.starts_with("Divide by zero") {
        let words = "a number is divided by zero; x / NULLIF(y, 0) is NULL there";
        return Some(words.to_owned());
    }
    if text.starts_with("Physical plan does not support logical expression")
        && text.contains("ubquery")
    {
        return Some(
            "a query within the expression has no value by row; leave SELECT out".to_owned(),
        );
    }
    let rest = text.split_once(NO_SUCH_FUNCTION)?.1;
    let call = rest.split_once("'")?.0;
    let types = ["Utf8View", "LargeUtf8", "Utf8"];
    let call = types
        .iter()
        .fold(call.to_owned(), |call, text| call.replace(text, "text"));
    let advice = match call.contains("text") {
        true => "; TRY_CAST(x AS DOUBLE) reads text as numbers, and what is none as NULL",
        false => "",
    };
    Some(format!(
        "there is no function for these types, {call}{advice}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_internal_names_are_left_out() {
        assert_eq!(
            plain("Error during planning: Arrow error: column \"rows.amount\" is\nwrong"),
            "column \"amount\" is wrong"
        );
        assert_eq!(
            plain("Arrow error: Divide by zero error"),
            "a number is divided by zero; x / NULLIF(y, 0) is NULL there"
        );
        assert_eq!(
            plain(
                "Internal error: Function 'sum' failed to match any signature, errors: Error during planning: … \
                 This issue was likely caused by a bug in DataFusion's code. No function matches the given name and \
                 argument types 'sum(Utf8View)'. You might need to add explicit type casts."
            ),
            "there is no function for these types, sum(text); TRY_CAST(x AS DOUBLE) reads text as numbers, and what is \
             none as NULL"
        );
        assert_eq!(
            plain(
                "This feature is not implemented: Could not plan array literal. Hint: Please try with `x` enabled"
            ),
            "Could not plan array literal."
        );
        assert_eq!(
            missing(
                "column",
                "amout",
                ["amount", "__sample", "item", "item"].into_iter()
            ),
            "there is no column `amout`; did you mean `amount`? (there are amount, item)"
        );
    }
}
