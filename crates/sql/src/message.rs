//! DataFusion's errors in the words of one who writes params: no places in its code, no names that
//! stand for none of theirs.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use supermoe_plugin::params::nearest;

/// What DataFusion puts before a message, by kind.
const KINDS: [&str; 8] = [
    "Error during planning: ",
    "Schema error: ",
    "Execution error: ",
    "Arrow error: ",
    "Parquet error: ",
    "Csv error: ",
    "Json error: ",
    "External error: ",
];

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
            missing(
                "column",
                "amout",
                ["amount", "__sample", "item", "item"].into_iter()
            ),
            "there is no column `amout`; did you mean `amount`? (there are amount, item)"
        );
    }
}
