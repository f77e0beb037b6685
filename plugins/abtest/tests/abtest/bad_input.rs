//! What is refused, and in which words.

use serde_json::{Value, json};

use crate::stage::{Stage, page_views};

fn error_of(params: Value, log: &str) -> String {
    Stage::new(params).log(log).run().error().to_owned()
}

fn error(log: &str) -> String {
    error_of(page_views(), log)
}

const GOOD: &str = "user,bucket,pv\na,control,1\nb,control,2\nc,new,3\nd,new,5\n";

#[test]
fn logs_that_are_none() {
    assert_eq!(error(""), "the log: it is empty; expected a header line");
    assert_eq!(
        error("user,bucket,pv\n"),
        "the log has no rows; expected at least two users in each bucket"
    );
    assert_eq!(
        error("user,buckets,views\na,control,1\n"),
        "the log: it has no column `bucket`; did you mean `buckets`? (there are user, buckets, views)"
    );
    assert_eq!(
        error("user,bucket,pv,pv\na,control,1,2\n"),
        "the log: it has two columns `pv`"
    );
    assert_eq!(
        error("user,bucket,pv\na,control\n"),
        "the log, line 2: it has 2 fields; expected 3, as in the header line: look for a delimiter or a quotation mark too \
         many, or one that is missing"
    );
    assert_eq!(
        error("user\tbucket\tpv\na\tcontrol\t1\n"),
        "the log: its header line has no `,`, and has a tab: give the stage `delimiter: \"\\t\"`"
    );
    let mut other = page_views();
    other["delimiter"] = json!(";");
    assert_eq!(
        error_of(other, GOOD),
        "the log: its header line has no `;`, and has `,`: give the stage `delimiter: \",\"`"
    );
    let utf16: Vec<u8> = std::iter::once('\u{feff}')
        .chain(GOOD.chars())
        .flat_map(|letter| (letter as u16).to_le_bytes())
        .collect();
    let utf16 = Stage::new(page_views()).file(&utf16).run();
    assert_eq!(
        utf16.error(),
        "the log: it is UTF-16 text; save the log as UTF-8"
    );
    let latin = Stage::new(page_views())
        .file(b"user,bucket,pv\n\xff,new,1\n")
        .run();
    assert_eq!(
        latin.error(),
        "the log, line 2: it is no UTF-8 text; save the log as UTF-8"
    );
    let unread = Stage::new(page_views())
        .path(std::path::Path::new("/no/such/log"))
        .run();
    assert!(
        unread.error().starts_with("the log: it cannot be read"),
        "{}",
        unread.error()
    );
    let damaged = Stage::new(page_views()).file(b"PAR1 and no more").run();
    assert!(
        damaged.error().starts_with("the log: it cannot be read"),
        "{}",
        damaged.error()
    );
}

#[test]
fn values_too_large_to_add_up() {
    let twice = GOOD.replace("new,3", "new,1e308") + "c,new,1e308\n";
    for log in [twice, GOOD.replace("new,3", "new,1e200")] {
        assert_eq!(
            error(&log),
            "`metrics.pv`: the values of bucket `new` are too large: their mean or variance is no finite number; look for \
             wrong rows"
        );
    }
}

#[test]
fn values_that_are_none() {
    let with = |pv: &str| error(&GOOD.replace("new,3", &format!("new,{pv}")));
    assert_eq!(
        with("NaN"),
        "the log, line 4: column `pv` is NaN; expected a finite number"
    );
    assert_eq!(
        with("1e999"),
        "the log, line 4: column `pv` is 1e999, which is beyond 64 bits; expected a smaller number"
    );
    assert_eq!(
        with("many"),
        "the log, line 4: column `pv` is `many`; expected a number"
    );
    assert_eq!(
        with(""),
        "the log, line 4: column `pv` is empty; expected a number, 0 where the user did nothing"
    );
    assert_eq!(
        error(&GOOD.replace("c,new", ",new")),
        "the log, line 4: the user is empty"
    );
    assert_eq!(
        error(&GOOD.replace("c,new", "c,")),
        "the log, line 4: the bucket of user `c` is empty"
    );
}

#[test]
fn users_that_contradict_themselves() {
    assert_eq!(
        error(&format!("{GOOD}a,new,1\n")),
        "the log, line 6: user `a` is in bucket `new` here and in `control` in an earlier row; expected each user in \
         one bucket: leave out of the log who was in two"
    );
    let params = json!({ "metrics": { "pv": { "mean": "pv", "pre": "before" } } });
    assert_eq!(
        error_of(
            params,
            "user,bucket,pv,before\na,control,1,4\na,control,1,\n"
        ),
        "the log, line 3: user `a` has nothing in column `before` here and 4 in an earlier row; expected one number from \
         before the experiment, the same in all rows of a user"
    );
}

#[test]
fn experiments_that_are_none() {
    assert_eq!(
        error("user,bucket,pv\na,control,1\nb,control,2\n"),
        "the log has one bucket, `control`; expected the control and at least one other"
    );
    assert_eq!(
        error("user,bucket,pv\na,A,1\nb,B,2\n"),
        "`control`: no user is in bucket `control`; the buckets are `A`, `B`"
    );
    assert_eq!(
        error("user,bucket,pv\na,control,1\nb,control,2\nc,new,2\n"),
        "bucket `new` has one user; a variance needs at least two in each bucket"
    );
}

#[test]
fn params_that_do_not_fit() {
    let with = |name: &str, value: Value| {
        let mut params = page_views();
        params[name] = value;
        error_of(params, GOOD)
    };
    assert_eq!(
        with("shares", json!({ "control": 1, "new": -1 })),
        "`shares.new`: expected a number above 0, found -1"
    );
    assert_eq!(
        with("shares", json!({ "control": 1, "old": 1 })),
        "`shares.old`: no user is in this bucket; the buckets are `control`, `new`"
    );
    assert_eq!(
        with("shares", json!({ "control": 1 })),
        "`shares`: expected a share for each of `control`, `new`"
    );
    assert_eq!(
        with("metrics", json!({})),
        "`metrics`: expected at least one metric"
    );
    assert_eq!(
        error_of(json!({ "metrics": { "b/c": { "mean": "pv" } } }), GOOD),
        "`metrics.b/c`: expected a name without `/`, which parts the names of figures"
    );
    assert_eq!(
        with("metrics", json!({ "pv": {} })),
        "`metrics.pv`: expected exactly one of `mean`, `ratio`, found none"
    );
    let two = json!({ "pv": {
        "mean": "pv", "pre": "pv", "pre_ratio": { "numerator": "pv", "denominator": "pv" },
    } });
    assert_eq!(
        with("metrics", two),
        "`metrics.pv`: expected `pre` or `pre_ratio`, not both"
    );
    assert_eq!(
        with("confidence", json!(95)),
        "`confidence`: expected a number from 0.5 to 0.9999, found 95"
    );
    assert_eq!(
        with("sample_ratio_alpha", json!(0.5)),
        "`sample_ratio_alpha`: expected a number from 0 to 0.1, found 0.5"
    );
    assert_eq!(
        with("delimiter", json!("ab")),
        "`delimiter`: expected one ASCII character such as `;` or a tab"
    );
}
