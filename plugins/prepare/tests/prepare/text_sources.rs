//! Files as people have them: other delimiters, encodings, times, and rows that are broken.

use std::io::Write as _;
use std::path::PathBuf;

use crate::support::{Prepared, prepare_csv, prepare_tables, shop};
use serde_json::{Value, json};

const EVENTS: &str = "\
user,day,item,amount
a,2020-02-10,x,2
b,2020-02-12,y,4.5
a,2020-03-04,é,5
b,2020-04-20,x,7
";

/// Prepares the shop from one file with `with.sources.events`.
fn prepare_file(name: &str, bytes: &[u8], source: Value) -> Result<Prepared, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    let mut params = shop();
    params["sources"] = json!({ "events": source });
    prepare_tables(&params, &[("events", &[path])], None, 1)
}

fn assert_same(prepared: &Prepared) {
    let plain = prepare_csv(&shop(), EVENTS).expect("good data");
    assert_eq!(prepared.dataset, plain.dataset);
}

fn refused(name: &str, bytes: &[u8], source: Value) -> String {
    prepare_file(name, bytes, source).expect_err("it is refused")
}

#[test]
fn delimiters_quotes_headers_and_names() {
    let semicolons = EVENTS.replace(',', ";");
    let prepared = prepare_file("a.csv", semicolons.as_bytes(), json!({ "delimiter": ";" }));
    assert_same(&prepared.expect("good data"));
    let tabs = EVENTS.replace(',', "\t");
    assert_same(&prepare_file("a.tsv", tabs.as_bytes(), json!({})).expect("good data"));
    let prepared = prepare_file(
        "a.txt",
        tabs.as_bytes(),
        json!({ "format": "csv", "delimiter": "\\t" }),
    );
    assert_same(&prepared.expect("good data"));
    let quoted = EVENTS.replace(",x,", ",'x',");
    assert_same(
        &prepare_file("a.csv", quoted.as_bytes(), json!({ "quote": "'" })).expect("good data"),
    );
    let (_, rows) = EVENTS.split_once('\n').expect("a header");
    let names = json!({ "header": false, "columns": ["user", "day", "item", "amount"] });
    assert_same(&prepare_file("a.txt", rows.as_bytes(), names).expect("good data"));
    let renamed = EVENTS.replace("user,day", "Kunde,Tag");
    let names = json!({ "columns": ["user", "day", "item", "amount"] });
    assert_same(&prepare_file("a.csv", renamed.as_bytes(), names).expect("good data"));
    let windows = EVENTS.replace('\n', "\r\n");
    assert_same(&prepare_file("a.csv", windows.as_bytes(), json!({})).expect("good data"));
}

#[test]
fn encodings_and_compression() {
    let latin: Vec<u8> = EVENTS
        .chars()
        .map(|c| if c == 'é' { 0xe9 } else { c as u8 })
        .collect();
    let prepared = prepare_file("a.csv", &latin, json!({ "encoding": "latin-1" }));
    assert_same(&prepared.expect("good data"));
    let wide: Vec<u8> = EVENTS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let prepared = prepare_file("a.csv", &wide, json!({ "encoding": "utf-16" }));
    assert_same(&prepared.expect("good data"));
    let marked = format!("\u{feff}{EVENTS}");
    assert_same(&prepare_file("a.csv", marked.as_bytes(), json!({})).expect("good data"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(EVENTS.as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    assert_same(&prepare_file("a.csv.gz", &gzip, json!({})).expect("good data"));
    let error = refused("a.csv.gz", &gzip[..gzip.len() - 12], json!({}));
    assert!(
        error.starts_with("input `events`: it cannot be read"),
        "{error}"
    );
    // A wrong encoding is told by its line.
    assert_eq!(
        refused("a.csv", &latin, json!({})),
        "input `events`: line 4: `\u{fffd}`: it has bytes that are no UTF-8; with.sources says what they are, such as \
         { encoding: latin-1 }; with.sources.events.bad_rows: skip leaves such rows out"
    );
    let error = refused("a.csv", EVENTS.as_bytes(), json!({ "encoding": "utf-16" }));
    assert!(
        error.starts_with("input `events`") || error.starts_with("with."),
        "{error}"
    );
}

#[test]
fn times_as_people_write_them() {
    let german = EVENTS
        .replace("2020-02-10", "10.02.2020 01:30")
        .replace("2020-02-12", "12.02.2020 01:30")
        .replace("2020-03-04", "04.03.2020 01:30")
        .replace("2020-04-20", "20.04.2020 01:30");
    let source = json!({ "time_format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin" });
    let prepared = prepare_file("a.csv", german.as_bytes(), source).expect("good data");
    assert_eq!(prepared.card.first_time, "2020-02-10T00:30:00");
    assert_eq!(prepared.card.last_time, "2020-04-19T23:30:00");
    let plain = refused("a.csv", german.as_bytes(), json!({}));
    assert!(
        plain.starts_with("with.time: column `day` is Utf8; expected a timestamp"),
        "{plain}"
    );
    let source = json!({ "time_format": "%d.%m.%Y" });
    let wrong = refused("a.csv", german.as_bytes(), source);
    assert!(
        wrong.contains(
            "line 2, column `day`: `10.02.2020 01:30`: it is not a time of the form %d.%m.%Y"
        ),
        "{wrong}"
    );
    let zone = refused(
        "a.csv",
        german.as_bytes(),
        json!({ "time_zone": "Mars/Olympus" }),
    );
    assert_eq!(
        zone,
        "with.sources.events.time_zone: `Mars/Olympus` is no time zone: expected one such as Europe/Berlin"
    );
    let format = refused(
        "a.csv",
        german.as_bytes(),
        json!({ "time_format": "%H:%M" }),
    );
    assert!(
        format.starts_with("with.sources.events.time_format: `%H:%M` does not say which day"),
        "{format}"
    );
}

#[test]
fn bad_rows_end_the_run_or_are_counted_and_shown() {
    let broken = format!(
        "{EVENTS}b,2020-02-13,y\nb,2020-02-14,z,cheap\nb,2020-02-15,z,1,2\nb,2020-02-16,z,8\n"
    );
    let types = json!({ "types": { "amount": "number" } });
    assert_eq!(
        refused("a.csv", broken.as_bytes(), types),
        "input `events`: line 6: `b,2020-02-13,y`: it has 3 fields, expected 4; with.sources.events.bad_rows: skip \
         leaves such rows out"
    );
    let skip = json!({ "types": { "amount": "number" }, "bad_rows": "skip" });
    let prepared = prepare_file("a.csv", broken.as_bytes(), skip).expect("the rest is good");
    assert_eq!(prepared.card.rows, 5);
    let bad = &prepared.card.bad_rows["events"];
    let places: Vec<(u64, Option<&str>, &str)> = bad
        .first
        .iter()
        .map(|row| (row.line, row.column.as_deref(), row.value.as_str()))
        .collect();
    assert_eq!(bad.count, 3);
    assert_eq!(
        places,
        [
            (6, None, "b,2020-02-13,y"),
            (7, Some("amount"), "cheap"),
            (8, None, "b,2020-02-15,z,1,2")
        ]
    );
    assert_eq!(bad.first[1].why, "it is not a number");
    let warned = prepared.told.warnings.iter().any(|warning| {
        warning.starts_with("input `events`: 3 rows cannot be read and are left out")
            && warning.contains("line 7, column `amount`: `cheap`")
    });
    assert!(warned, "{:?}", prepared.told.warnings);
    let few = json!({ "types": { "amount": "number" }, "bad_rows": "skip", "max_bad_rows": 2 });
    let error = refused("a.csv", broken.as_bytes(), few);
    assert!(
        error.starts_with("input `events`: more than 2 bad rows"),
        "{error}"
    );
    let many: String = (0..30).map(|i| format!("x{i}\n")).collect();
    let prepared = prepare_file(
        "a.csv",
        format!("{EVENTS}{many}").as_bytes(),
        json!({ "bad_rows": "skip" }),
    );
    let bad = &prepared.expect("the rest is good").card.bad_rows["events"];
    assert_eq!((bad.count, bad.first.len()), (30, 10));
}

#[test]
fn json_lines_that_are_none() {
    let good = "{\"user\": \"a\", \"day\": \"2020-02-20\", \"item\": \"x\", \"amount\": 2}\n";
    let rest = "{\"user\": \"b\", \"day\": \"2020-03-20\", \"item\": \"12\", \"amount\": null, \"more\": [1]}\n\
                {\"user\": \"b\", \"day\": \"2020-04-20\", \"item\": \"x\"}\n";
    let broken = format!("{good}{{\"user\": 1\n\n[1]\n{rest}");
    let error = refused("a.jsonl", broken.as_bytes(), json!({}));
    assert!(
        error.starts_with(
            "input `events`: line 2: `{\"user\": 1`: it is no JSON object on one line"
        ),
        "{error}"
    );
    let prepared = prepare_file("a.jsonl", broken.as_bytes(), json!({ "bad_rows": "skip" }))
        .expect("the rest is good");
    let lines: Vec<u64> = prepared.card.bad_rows["events"]
        .first
        .iter()
        .map(|row| row.line)
        .collect();
    assert_eq!(lines, [2, 4]);
    assert_eq!(prepared.card.rows, 3);
}

#[test]
fn a_delimiter_that_is_not_there_and_options_that_mean_nothing() {
    let semicolons = EVENTS.replace(',', ";");
    assert_eq!(
        refused("a.csv", semicolons.as_bytes(), json!({})),
        "input `events`: its first line has no `,`, so it would be one column; with.sources.events.delimiter may be \
         meant to be \";\""
    );
    let of = |name: &str, source: Value| refused(name, EVENTS.as_bytes(), source);
    assert!(
        of("a.jsonl", json!({ "delimiter": ";" }))
            .starts_with("with.sources.events.delimiter: it means nothing for JSON lines")
    );
    assert!(of("a.csv", json!({ "delimiter": ";;" })).contains("`;;` is not one ASCII character"));
    assert!(
        of("a.csv", json!({ "types": { "price": "number" } }))
            .starts_with("with.sources.events.types.price: there is no such column")
    );
    assert!(
        of("a.csv", json!({ "columns": ["user", "day"] })).contains("its first line has 4 fields")
    );
    assert!(of("a.csv", json!({ "format": "parquet" })).contains("it is no Parquet file"));
    assert_eq!(
        refused(
            "a.parquet",
            b"PAR1",
            json!({ "time_zone": "Europe/Berlin" })
        ),
        "with.sources.events.time_zone: it means nothing for Parquet; convert its columns in with.events"
    );
    let mut params = shop();
    params["sources"] = json!({ "event": {} });
    let error = prepare_csv(&params, EVENTS).expect_err("no such port");
    assert!(
        error.contains("there is no input port `event`; did you mean `events`?"),
        "{error}"
    );
}

#[test]
fn hostile_names_of_columns_are_names() {
    let name = "a \"b\" ' ; é -- /*";
    let csv = EVENTS.replace("amount", &format!("\"{}\"", name.replace('"', "\"\"")));
    let mut params = shop();
    let expr = format!("\"{}\"", name.replace('"', "\"\""));
    params["channels"] = json!({ "worth": { "kind": "dense", "expr": expr } });
    params["aggregates"] = json!({ "sum": format!("sum({expr})") });
    params["order"] = json!([name]);
    let prepared = prepare_csv(&params, &csv).expect("good data");
    assert_eq!(
        prepared.numbers(&prepared.pack("b", "2020-03-01"), "worth")[..1],
        [4.5]
    );
    let twice = EVENTS.replace("item,amount", "item,item");
    let error = prepare_csv(&shop(), &twice).expect_err("two of one name");
    assert_eq!(
        error,
        "input `events`: two of its columns are called `item`"
    );
}

#[test]
fn a_sequence_of_one_step_is_a_sample_like_others() {
    let mut params = shop();
    params["length"] = json!(1);
    let prepared = prepare_csv(&params, EVENTS).expect("good data");
    let batch = prepared.pack("b", "2020-03-01");
    assert_eq!(batch.position, [1, 0]);
    assert_eq!(prepared.card.lengths.max, 1);
}
