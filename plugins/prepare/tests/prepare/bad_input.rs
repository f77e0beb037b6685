//! Wrong params and wrong data end with a message that names them.

use serde_json::{Value, json};

use crate::support::{EVENTS, prepare_csv, prepare_files, shop};

/// The message for these events and a shop with one value replaced, by JSON pointer.
fn message(pointer: &str, value: Value, csv: &str) -> String {
    let mut params = shop();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    params.pointer_mut(parent).expect("it exists")[key] = value;
    prepare_csv(&params, csv)
        .err()
        .unwrap_or_else(|| panic!("{pointer} was taken"))
}

fn assert_starts(message: &str, start: &str) {
    assert!(message.starts_with(start), "{message}");
}

#[test]
fn files() {
    let params = shop();
    let of = |csv: &str| prepare_csv(&params, csv).expect_err("an error");
    assert_eq!(of(""), "input `events`: it is empty");
    assert_eq!(
        of("user,day,item,amount\n"),
        "with.events: the events have no rows"
    );
    assert_starts(
        &of("user,day,item,amount\na,2020-02-10,x\n"),
        "input `events`: ",
    );
    assert_starts(
        &of("user,day,item,amount\na,2020-02-10,x,2,3\n"),
        "input `events`: ",
    );
}

/// The message for several files, which must not name a path.
fn message_of_files(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |(name, text): &(&str, &str)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let paths: Vec<_> = files.iter().map(write).collect();
    let message = prepare_files(&shop(), &paths).expect_err("an error");
    let folder = folder.path().display().to_string();
    assert!(
        !message.contains(folder.trim_start_matches('/')),
        "{message}"
    );
    message
}

#[test]
fn a_wrong_file_among_several_is_named_by_its_place() {
    let other = "user,day,item,amount\na,2020-05-10,x,2\n";
    let second = |name: &str, text: &str| {
        message_of_files(&[("a.csv", EVENTS), (name, text), ("c.csv", other)])
    };
    assert_starts(
        &second("39a2f70a6f10-0.txt", other),
        "input `events` (file 2 of 3): expected .parquet, .csv",
    );
    assert_eq!(
        second("b.csv", ""),
        "input `events` (file 2 of 3): it is empty"
    );
    assert_eq!(
        second("b.tsv", other),
        "input `events` (file 2 of 3): it is TSV, and file 1 of 3 is CSV; give each its own port"
    );
    assert_eq!(
        second("b.csv", "user,day,thing,amount\na,2020-05-10,x,2\n"),
        "input `events` (file 2 of 3): its columns are not those of file 1 of 3: it lacks `item`, and it has `thing` \
         besides; files of one table have the same columns"
    );
    assert_eq!(
        second("b.csv", "user,day,amount,item\na,2020-05-10,2,x\n"),
        "input `events` (file 2 of 3): its columns stand in another order than those of file 1 of 3: \
         user, day, amount, item, there user, day, item, amount"
    );
    for ragged in ["a,2020-05-10,x\n", "a,2020-05-10,x,2,3\n"] {
        let text = format!("{other}{ragged}");
        assert_starts(&second("b.csv", &text), "input `events` (file 2 of 3): ");
    }
}

#[test]
fn damaged_parquet() {
    let data = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/data/transactions-2009-2010.parquet"
    );
    let whole = std::fs::read(data).expect("the file of the examples");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("events.parquet");
    let mut params = shop();
    params["entity"] = json!("customer_id");
    params["time"] = json!("invoice_date");
    let of = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("a file");
        prepare_files(&params, std::slice::from_ref(&file)).expect_err("it is damaged")
    };
    assert_starts(&of(&whole[..whole.len() / 2]), "input `events`: ");
    assert_starts(&of(b"PAR1"), "input `events`: ");
    assert_eq!(
        of(b"no parquet"),
        "input `events`: it is no Parquet file: it does not begin with PAR1"
    );
    // Places in the footer, which says where columns are.
    for from_end in (9..1500).step_by(100) {
        let mut bytes = whole.clone();
        let place = bytes.len() - from_end;
        bytes[place] = !bytes[place];
        // Any message will do: what matters is that there is one.
        assert!(!of(&bytes).is_empty());
    }
}

#[test]
fn columns_of_the_events() {
    let of = |pointer, value: &str| message(pointer, json!(value), EVENTS);
    let has = "they have user, day, item, amount";
    assert_eq!(
        of("/entity", "customer"),
        format!("with.entity: the events have no column `customer`; {has}")
    );
    assert_eq!(
        of("/time", "when"),
        format!("with.time: the events have no column `when`; {has}")
    );
    assert_eq!(
        message("/order", json!(["item", "price"]), EVENTS),
        format!("with.order[1]: the events have no column `price`; {has}")
    );
    assert_starts(&of("/time", "item"), "with.time: column `item` is Utf8");
    let dates = EVENTS.replace("2020-02-10", "10.02.2020");
    assert!(
        message("/length", json!(3), &dates)
            .contains("convert it in with.events, for example to_timestamp(day")
    );
    let nulls = EVENTS.replace("a,2020-02-10", ",2020-02-10");
    assert_eq!(
        message("/length", json!(3), &nulls),
        "with.entity: column `user` is NULL in 1 rows; leave them out in with.events (WHERE user IS NOT NULL)"
    );
    assert_starts(
        &of("/entity", "day"),
        "with.entity: column `day` is Date32; expected whole numbers or text",
    );
}

#[test]
fn the_query_of_the_events() {
    let of = |sql: &str| message("/events", json!(sql), EVENTS);
    assert_starts(&of("SELECT * FROM event"), "with.events: ");
    assert_eq!(
        of("SELECT * FROM event"),
        "with.events: there is no table `event`; did you mean `events`? (there are events)"
    );
    let wrong = of("SELEC * FROM events");
    assert_starts(&wrong, "with.events: this is no SQL: Expected");
    assert!(!wrong.contains("ParserError"), "{wrong}");
    assert_eq!(
        of("SELECT amout FROM events"),
        "with.events: there is no column `amout`; did you mean `amount`? (there are user, day, item, amount)"
    );
    let seconds = of("SELECT 1 AS user, 2 AS day, 3 AS item, 4 AS amount");
    assert!(seconds.contains("to_timestamp_seconds(day)"), "{seconds}");
    assert_starts(&of("SELEC * FROM events"), "with.events: ");
    assert!(of("SELECT *, amout * 2 AS double FROM events").contains("amout"));
    assert_eq!(
        of("SELECT * FROM events WHERE amount > 1000"),
        "with.events: the events have no rows"
    );
    assert!(of("SELECT *, day AS snapshot FROM events").contains("a column is called `snapshot`"));
    assert!(of("SELECT *, amount + 1 AS amount FROM events").contains("amount"));
    assert_starts(
        &of("SELECT *, now() AS at FROM events"),
        "with.events: now() has another value in every run",
    );
    assert_starts(
        &of("SELECT * FROM events WHERE random() < 2"),
        "with.events: random() has another value",
    );
    for writing in [
        "COPY events TO '/tmp/copy-of-events.csv'",
        "CREATE TABLE other AS SELECT * FROM events",
        "CREATE EXTERNAL TABLE passwd STORED AS CSV LOCATION '/etc/passwd'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
    ] {
        assert_starts(&of(writing), "with.events: ");
    }
}

#[test]
fn expressions() {
    let channel = |kind: &str, expr: &str| {
        message(
            "/channels/amount",
            json!({ "kind": kind, "expr": expr }),
            EVENTS,
        )
    };
    let param = "with.channels.amount.expr: ";
    assert!(channel("dense", "amout").contains("amout"));
    for wrong in [
        "amout",
        "amount +",
        "amount) FROM events --",
        "sum(amount)",
        "(SELECT 1)",
        "no_such(amount)",
        "",
    ] {
        assert_starts(&channel("dense", wrong), param);
    }
    assert_eq!(
        channel("dense", "item"),
        format!("{param}its value is Utf8; expected a number; TRY_CAST(x AS DOUBLE) reads text as numbers, and what is none as NULL").replace("Utf8", &text_type())
    );
    assert_eq!(
        channel("dense", "amount AS x"),
        format!("{param}it has its name already; leave AS out")
    );
    assert_starts(
        &channel("dense", "date_part('year', now()) + amount"),
        &format!("{param}now() has another value"),
    );
    let cast = channel("dense", "CAST(item AS INT)");
    assert_starts(&cast, param);
    assert!(cast.contains("TRY_CAST("), "{cast}");
    assert_starts(
        &channel("dense", "sum(amount)"),
        &format!("{param}an aggregate has no value by row"),
    );
    assert_starts(&channel("dense", "1 / (CAST(amount AS INT) - 2)"), param);
    let missing = message("/channels", json!({ "price": { "kind": "dense" } }), EVENTS);
    assert_starts(&missing, "with.channels.price: ");
    assert!(missing.contains("price"));
}

/// How text columns of a CSV file are held.
fn text_type() -> String {
    let message = message(
        "/channels/amount",
        json!({ "kind": "dense", "expr": "item" }),
        EVENTS,
    );
    let text = message
        .split("its value is ")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let text = text.expect("the message says the type").to_owned();
    assert!(text.starts_with("Utf8"), "{text}");
    text
}

#[test]
fn numbers_that_are_none() {
    let expected = "with.channels.amount.expr: its value is -inf for entity a at 2020-02-10T00:00:00: NaN, \
                    infinite or too large; guard the expression, or let it be NULL (a missing value)";
    let channel = |expr: &str| {
        message(
            "/channels/amount",
            json!({ "kind": "dense", "expr": expr }),
            EVENTS,
        )
    };
    assert_eq!(channel("ln(amount - 2)"), expected);
    assert_starts(
        &channel("acos(amount)"),
        "with.channels.amount.expr: its value is NaN for entity a",
    );
    assert!(channel("amount * 1e300").contains("NaN, infinite or too large"));
    assert!(channel("ln(days_to_snapshot - 20) + 0 * amount").contains("for entity a"));
    let aggregate = message(
        "/aggregates",
        json!({ "log": "ln(sum(amount) - 2)" }),
        EVENTS,
    );
    assert_starts(
        &aggregate,
        "with.aggregates.log: its value is -inf for entity a",
    );
    let total = message(
        "/totals",
        json!({ "spent": { "sum": "ln(amount - 2)" } }),
        EVENTS,
    );
    assert_starts(
        &total,
        "with.totals.spent.sum: its sum is -inf for entity a at 2020-02-10T00:00:00",
    );
}

#[test]
fn totals_and_aggregates() {
    let total = |value: Value| message("/totals", json!({ "spent": value }), EVENTS);
    assert_eq!(
        total(json!({})),
        "with.totals.spent: expected either `count` or `sum`"
    );
    assert_eq!(
        total(json!({ "count": "rows", "sum": "amount" })),
        "with.totals.spent: expected either `count` or `sum`"
    );
    assert_eq!(
        total(json!({ "sum": "amount", "source": ["price"] })),
        "with.totals.spent.source: there is no channel `price`"
    );
    assert!(total(json!({ "count": "visits" })).contains("expected `rows` or `times`"));
    let aggregate = |sql: &str| message("/aggregates", json!({ "spent": sql }), EVENTS);
    for wrong in [
        "amount",
        "sum(amout)",
        "sum(amount",
        "max(item)",
        "sum(amount) FROM rows; --",
        "row_number() OVER ()",
    ] {
        assert_starts(&aggregate(wrong), "with.aggregates.spent: ");
    }
    let per_sample = "this is evaluated once per sample, over the sample's rows: use an aggregate such as count(*) or sum(x)";
    for bare in ["amount", "sum(amount) / amount", "item = 'x'"] {
        assert!(aggregate(bare).contains(per_sample), "{}", aggregate(bare));
    }
    for wrong in ["amount", "sum(amout)", "sum(amount", "max(item)"] {
        assert!(
            !aggregate(wrong).contains("__sample"),
            "{}",
            aggregate(wrong)
        );
        assert!(!aggregate(wrong).contains("rows."), "{}", aggregate(wrong));
    }
    assert_eq!(
        message("/aggregates", json!({ "amount": "sum(amount)" }), EVENTS),
        "with.aggregates.amount: `with.channels` has this name too; channels, totals and aggregates share names"
    );
    assert_starts(
        &message("/aggregates", json!({ "a/b": "sum(amount)" }), EVENTS),
        "with.aggregates: `a/b` is no name",
    );
    assert_starts(
        &message(
            "/channels/amount",
            json!({ "kind": "dense", "min_count": 3 }),
            EVENTS,
        ),
        "with.channels.amount.min_count: it is for id and category channels",
    );
    assert_starts(
        &message("/channels", json!({}), EVENTS),
        "with.channels: it is empty",
    );
}

#[test]
fn tasks() {
    assert_eq!(
        message(
            "/tasks/mean",
            json!({ "kind": "binary", "within": "1d", "label": "count(*) > 0" }),
            EVENTS
        ),
        "with.tasks.mean: `mean` stands for the mean over tasks in metrics and tables"
    );
    let task = |value: Value| message("/tasks/buys", value, EVENTS);
    let binary = |label: &str| task(json!({ "kind": "binary", "within": "7d", "label": label }));
    for wrong in [
        "amount > 3",
        "count(",
        "count(*) FILTER (WHERE amout > 0)",
        "days_to_snapshot > 3",
    ] {
        assert_starts(&binary(wrong), "with.tasks.buys.label: ");
    }
    assert_eq!(
        binary("coalesce(sum(amount), 0)"),
        "with.tasks.buys.label: its value is 6; a binary label is true or false, 1 or 0"
    );
    let regression =
        |label: &str| task(json!({ "kind": "regression", "within": "7d", "label": label }));
    assert_starts(
        &regression("max(item)"),
        "with.tasks.buys.label: its value is Utf8",
    );
    assert_starts(
        &regression("ln(count(*))"),
        "with.tasks.buys.label: its value is -inf; a label is a finite number",
    );
    let ranking = task(json!({ "kind": "ranking", "within": "7d", "label": "count(*)" }));
    assert!(
        ranking.contains("unknown variant `ranking`, expected one of `binary`"),
        "{ranking}"
    );
    let condition =
        json!({ "kind": "binary", "within": "7d", "label": "count(*) > 0", "where": "amount > 0" });
    assert_starts(&task(condition), "with.tasks.buys.where: ");
    let span = task(json!({ "kind": "binary", "within": "a week", "label": "count(*) > 0" }));
    assert!(span.contains("`a week` is no span of time"), "{span}");
}

#[test]
fn splits() {
    let splits = |value: Value| message("/splits", value, EVENTS);
    let late = splits(
        json!({ "by": "time", "train": ["2020-03-01"], "valid": ["2020-03-28"], "test": ["2020-04-01"] }),
    );
    assert_eq!(
        late,
        "with.splits.valid: the label window of snapshot 2020-03-28 (task `buys`, 7d) ends 2020-04-04T00:00:00, \
         after the first test snapshot 2020-04-01; a label of `valid` would look at days that a test label looks at"
    );
    let twice = splits(json!({ "by": "time", "train": ["2020-03-01"], "valid": ["2020-03-01"] }));
    assert_eq!(
        twice,
        "with.splits.valid: 2020-03-01 is in `train` too; a snapshot belongs to one split"
    );
    let none = splits(json!({ "by": "time", "train": [], "test": ["2020-04-01"] }));
    assert_eq!(none, "with.splits.train: it has no snapshot");
    let backwards = json!({ "from": "2020-03-01", "to": "2020-02-01", "every": "month" });
    assert_eq!(
        splits(json!({ "by": "time", "train": backwards })),
        "with.splits.train: `from` 2020-03-01 is after `to` 2020-02-01"
    );
    let empty = splits(json!({ "by": "time", "train": ["2020-03-01"], "test": ["2021-04-01"] }));
    assert_eq!(
        empty,
        "with.splits.test: it has no samples: no event lies within 30d before one of its snapshots"
    );
    for wrong in [
        json!(["2023-02-30"]),
        json!({ "from": "2023-02-30", "to": "2023-04-01", "every": "month" }),
    ] {
        let wrong = splits(json!({ "by": "time", "train": ["2020-03-01"], "valid": wrong }));
        assert_starts(&wrong, "with.splits.valid: `2023-02-30` is no date");
    }
    let entity = |value: Value| splits(value);
    assert_starts(
        &entity(json!({ "by": "entity", "train": ["2020-03-01"] })),
        "with.splits.train: by entity all splits have the dates of `snapshots`",
    );
    assert_starts(
        &entity(json!({ "by": "entity", "snapshots": ["2020-03-01"], "test": 1.5 })),
        "with.splits.test: 1.5 is no share",
    );
    assert_starts(
        &entity(json!({ "by": "entity", "snapshots": ["2020-03-01"], "test": ["2020-04-01"] })),
        "with.splits.test: by entity it is a share of the entities",
    );
    assert_starts(
        &entity(json!({ "by": "entity", "snapshots": ["2020-03-01"], "test": 0.5, "valid": 0.5 })),
        "with.splits: valid 0.5 and test 0.5 leave no entity for training",
    );
    assert_starts(
        &entity(json!({ "by": "entity", "valid": 0.5 })),
        "with.splits.snapshots: it has no snapshot",
    );
    assert_starts(
        &entity(json!({ "by": "time", "train": ["2020-03-01"], "test": 0.5 })),
        "with.splits.test: by time it is a list of dates",
    );
    assert_starts(
        &entity(json!({ "predict": ["2020-03-01"] })),
        "with.splits.train: it has no snapshot",
    );
    let tiny = json!({ "by": "entity", "snapshots": ["2020-03-01"], "valid": 1e-9 });
    assert_eq!(
        entity(tiny),
        "with.splits.valid: it has no samples: no entity falls into it; give it a larger share"
    );
    let word = splits(json!({ "by": "time", "train": "2020-03-01" }));
    assert!(
        word.contains("expected a list of dates, or a map of `from`, `to` and `every`"),
        "{word}"
    );
}

#[test]
fn words_that_mean_nothing_are_refused() {
    assert!(message("/profiles", json!("x"), EVENTS).contains("unknown field `profiles`"));
    let refused = |channel: Value| message("/channels/amount", channel, EVENTS);
    assert_starts(
        &refused(json!({ "kind": "dense", "hash": 10 })),
        "with.channels.amount.hash: it is for id and category channels",
    );
    assert_starts(
        &refused(json!({ "kind": "id", "hash": 10, "min_count": 2 })),
        "with.channels.amount.min_count: a hashed channel has no vocabulary",
    );
    assert_starts(
        &refused(json!({ "kind": "id", "from": "profile" })),
        "with.channels.amount.from: there is no `with.profile`",
    );
}

#[test]
fn nan_and_infinity_in_a_file_are_told_by_entity() {
    for (value, shown) in [("NaN", "NaN"), ("inf", "inf"), ("-Infinity", "-inf")] {
        let csv = EVENTS.replace("b,2020-02-28,y,7", &format!("b,2020-02-28,y,{value}"));
        let error = prepare_csv(&shop(), &csv).expect_err("it is no number");
        assert_starts(
            &error,
            &format!(
                "with.channels.amount: its value is {shown} for entity b at 2020-02-28T00:00:00"
            ),
        );
    }
}
