//! `supermoe init`: tables of different style become workflows that run, and what is none is told.

use std::fs;

use crate::harness::{Outcome, Project};
use crate::init_data::{Dice, bank, shop, web_log};

/// Runs the workflow that was written, and looks whether all of it ran and was measured.
fn runs_whole(project: &Project, workflow: &str) {
    project.ok(&["run", workflow]);
    let stages = ["prepare", "pretrain", "finetune", "export", "evaluate"];
    let ran: Vec<String> = stages.iter().map(|stage| format!("{stage}: ran")).collect();
    assert_eq!(project.states(), ran);
    let report = project.ok(&["show", "latest"]).stdout;
    assert!(report.contains("test/auc"), "{report}");
}

fn wrong(project: &Project, arguments: &[&str]) -> Outcome {
    let outcome = project.supermoe(arguments);
    assert_eq!(outcome.code, Some(2), "{arguments:?}\n{outcome}");
    assert!(
        !project.exists("workflow.yaml"),
        "{arguments:?} wrote a file"
    );
    outcome
}

#[test]
fn a_shops_export_runs() {
    let project = Project::new();
    fs::write(project.path("shop.csv"), shop()).expect("a file");
    let outcome = project.ok(&["init", "shop.csv"]);
    insta::assert_snapshot!("init_shop", outcome.steady_stdout());
    insta::assert_snapshot!("init_shop_workflow", project.read("workflow.yaml"));
    runs_whole(&project, "workflow.yaml");
}

#[test]
fn a_web_log_runs() {
    let project = Project::new().file("logs/web.tsv", &web_log());
    let outcome = project.ok(&["init", "logs/web.tsv"]);
    insta::assert_snapshot!("init_web", outcome.steady_stdout());
    insta::assert_snapshot!("init_web_workflow", project.read("workflow.yaml"));
    runs_whole(&project, "workflow.yaml");
}

#[test]
fn a_banks_statement_runs() {
    let project = Project::new().file("bank.csv", &bank());
    let outcome = project.ok(&["init", "bank.csv", "--dir", "churn/first"]);
    insta::assert_snapshot!("init_bank", outcome.steady_stdout());
    insta::assert_snapshot!(
        "init_bank_workflow",
        project.read("churn/first/workflow.yaml")
    );
    runs_whole(&project, "churn/first/workflow.yaml");
}

#[test]
fn the_same_data_give_the_same_workflow() {
    let project = Project::new().file("bank.csv", &bank());
    project.ok(&["init", "bank.csv", "--dir", "a"]);
    project.ok(&["init", "bank.csv", "--dir", "b"]);
    assert_eq!(
        project.read("a/workflow.yaml"),
        project.read("b/workflow.yaml")
    );
}

/// A table of users over a year.
fn table(header: &str, row: impl Fn(&mut Dice, usize) -> String) -> String {
    let mut dice = Dice::new(4);
    let rows = (0..600).map(|at| row(&mut dice, at));
    std::iter::once(header.to_owned())
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

fn day(dice: &mut Dice) -> String {
    format!("2021-{:02}-{:02}", 1 + dice.roll(12), 1 + dice.roll(28))
}

#[test]
fn hostile_names_are_quoted_in_sql_and_yaml() {
    let header = "\"user\"\"id\",\"at\nnew\",\"${{ secrets.X }}\",\"key: [a, b] # c\",select,snapshot,it's,店铺,\
                  weekday,null,\"tab\there\",\"control\u{1}\",\"  \",days_since_previous,steps";
    let rows = table(header, |dice, _| {
        let (user, day) = (dice.roll(40), day(dice));
        let values: Vec<String> = (0..13).map(|_| format!("v{}", dice.roll(5))).collect();
        format!("u{user},{day},{}", values.join(","))
    });
    let file = "it's ${{ here }}: [a] #1.csv";
    let project = Project::new().file(file, &rows);
    project.ok(&["init", file]);
    let text = project.read("workflow.yaml");
    assert!(text.contains("${{ '${{' }} secrets.X }}"), "{text}");
    project.ok(&["check", "workflow.yaml"]);
    project.ok(&["run", "workflow.yaml", "--until", "prepare"]);
}

#[test]
fn json_lines_and_parquet_are_read() {
    let lines = table("", |dice, _| {
        let (user, event) = (dice.roll(40), dice.pick(&["view", "purchase"]));
        format!(
            "{{\"user\": {user}, \"time\": {}, \"event\": \"{event}\", \"tags\": [1, 2]}}",
            1_610_000_000 + dice.roll(200 * 86_400)
        )
    });
    let project = Project::new().file("events.jsonl", &lines);
    let outcome = project.ok(&["init", "events.jsonl"]);
    assert!(
        outcome.stdout.contains("seconds since 1970-01-01 UTC"),
        "{outcome}"
    );
    assert!(
        outcome.stdout.contains("`tags` (it has lists or objects)"),
        "{outcome}"
    );
    project.ok(&["run", "workflow.yaml", "--until", "prepare"]);

    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data");
    let files = ["2009-2010", "2010-2011"].map(|years| {
        let file = examples.join(format!("transactions-{years}.parquet"));
        file.to_str().expect("UTF-8").to_owned()
    });
    let outcome = project.ok(&["init", &files[0], &files[1], "--dir", "retail"]);
    for guessed in [
        "entity    `customer_id`",
        "time      `invoice_date`",
        "id product",
        "every month",
    ] {
        assert!(outcome.stdout.contains(guessed), "{guessed}\n{outcome}");
    }
    project.ok(&["check", "retail/workflow.yaml"]);
}

#[test]
fn odd_files_of_the_real_world_run() {
    let pandas = table(",customer_id,invoice_date,amount", |dice, at| {
        let customer = match at % 50 {
            0 => String::new(),
            _ => format!("{}.0", 1000 + dice.roll(40)),
        };
        format!("{at},{customer},{} 10:00:00,{}.5", day(dice), dice.roll(90))
    });
    let mixed = table("\u{FEFF}user,at,item", |dice, at| {
        let end = if at % 2 == 0 { "\r" } else { "" };
        format!("u{},{},i{}{end}", dice.roll(30), day(dice), dice.roll(9))
    });
    let long = table("user,at,note", |dice, at| {
        let note = "x".repeat(if at == 77 { 1_000_000 } else { 5 });
        format!("u{},{},{note}", dice.roll(30), day(dice))
    });
    let american = table("user,date,price", |dice, _| {
        let (month, day) = (1 + dice.roll(12), 1 + dice.roll(28));
        format!(
            "u{},{month}/{day}/2021 {}:30 PM,N/A",
            dice.roll(20),
            1 + dice.roll(12)
        )
    });
    let two_days = table("user,at,x", |dice, at| {
        format!(
            "u{},2021-01-0{} {:02}:30:00,{}",
            at % 60,
            1 + dice.roll(2),
            dice.roll(24),
            dice.roll(9)
        )
    });
    for (name, text, told) in [
        ("pandas", pandas, "12 of 600 rows have no `customer_id`"),
        ("mixed", mixed, "category item"),
        ("long", long, "`note` (it is prose)"),
        (
            "american",
            american,
            "mm/dd/yyyy hh:mm AM, as numbers above 12 show",
        ),
        (
            "two_days",
            two_days,
            "by entity, since the data span 2 days only",
        ),
    ] {
        let file = format!("{name}.csv");
        let project = Project::new().file(&file, &text);
        let outcome = project.ok(&["init", &file]);
        assert!(outcome.stdout.contains(told), "{told}\n{outcome}");
        project.ok(&["run", "workflow.yaml", "--until", "prepare"]);
    }
}

#[test]
fn bad_rows_are_skipped_by_the_workflow() {
    let text = table("user,at,x", |dice, at| {
        let day = format!("{:02}.{:02}.2021", 1 + dice.roll(28), 1 + dice.roll(12));
        let time = if at % 60 == 7 { "soon" } else { &day };
        let more = if at % 60 == 8 { ",more" } else { "" };
        format!("u{},{time},{}{more}", dice.roll(20), dice.roll(99))
    });
    let project = Project::new().file("bad.csv", &text);
    let outcome = project.ok(&["init", "bad.csv"]);
    for told in [
        "10 values of `at` are no times",
        "10 of the rows looked at have more or fewer fields",
    ] {
        assert!(outcome.stdout.contains(told), "{outcome}");
    }
    project.ok(&["run", "workflow.yaml", "--until", "prepare"]);
}

#[test]
fn day_and_month_that_cannot_be_told_apart_are_doubtful() {
    let text = table("user,date,x", |dice, _| {
        format!(
            "u{},{:02}/{:02}/2021,1",
            dice.roll(20),
            1 + dice.roll(12),
            1 + dice.roll(12)
        )
    });
    let project = Project::new().file("data.csv", &text);
    let outcome = project.ok(&["init", "data.csv"]);
    assert!(
        outcome
            .stdout
            .contains("day and month may be the other way round"),
        "{outcome}"
    );
}

#[test]
fn who_and_when_may_be_said() {
    let text = table("user,account,at,created", |dice, _| {
        format!(
            "u{},a{},{},{}",
            dice.roll(40),
            dice.roll(40),
            day(dice),
            day(dice)
        )
    });
    let project = Project::new().file("data.csv", &text);
    project.ok(&[
        "init", "data.csv", "--entity", "account", "--time", "created",
    ]);
    let workflow = project.read("workflow.yaml");
    assert!(workflow.contains("entity: account"), "{workflow}");
    assert!(workflow.contains("time: created"), "{workflow}");
    let project = Project::new().file("data.csv", &text);
    let outcome = wrong(&project, &["init", "data.csv", "--entity", "customer"]);
    assert!(
        outcome.stderr.contains("there is no column `customer`"),
        "{outcome}"
    );
    let outcome = wrong(&project, &["init", "data.csv", "--time", "user"]);
    assert!(
        outcome.stderr.contains("`user` has texts such as"),
        "{outcome}"
    );
}

#[test]
fn nothing_that_is_there_is_replaced_unasked() {
    let project = Project::new()
        .file("bank.csv", &bank())
        .file("workflow.yaml", "mine");
    let outcome = project.supermoe(&["init", "bank.csv"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    insta::assert_snapshot!("init_exists", outcome.steady_stderr());
    assert_eq!(project.read("workflow.yaml"), "mine");
    project.ok(&["init", "bank.csv", "--force"]);
    assert!(project.read("workflow.yaml").contains("Drafted from"));
    let left: Vec<_> = project.files_below("").into_iter().collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_folder_in_no_project_becomes_one() {
    let project = Project::new().file("bank.csv", &bank());
    fs::remove_file(project.path("supermoe.toml")).expect("it was there");
    let outcome = project.ok(&["init", "bank.csv", "--dir", "new"]);
    assert!(
        outcome
            .stdout
            .contains("wrote new/workflow.yaml and new/supermoe.toml"),
        "{outcome}"
    );
    assert!(project.exists("new/supermoe.toml"));
    // The next one lies in it.
    let outcome = project.ok(&["init", "bank.csv", "--dir", "new/next"]);
    assert!(!outcome.stdout.contains("supermoe.toml"), "{outcome}");
}

#[test]
fn what_is_no_table_of_events_is_told() {
    let many = |row: fn(&mut Dice, usize) -> String, header: &str| table(header, row);
    let files: [(&str, Vec<u8>); 15] = [
        ("empty.csv", Vec::new()),
        ("blank.csv", b" \n\n".to_vec()),
        ("binary.csv", (0..=255).cycle().take(4096).collect()),
        ("workbook.csv", b"PK\x03\x04".to_vec()),
        ("array.json", b"[{\"user\": 1}]".to_vec()),
        ("broken.jsonl", b"{\"user\": 1}\n{\"user\": \n".to_vec()),
        ("broken.parquet", b"PAR1 and nothing more".to_vec()),
        ("header.csv", b"user,at\n".to_vec()),
        (
            "twice.csv",
            b"user,at,at\nu,2021-01-01,2021-01-01\n".to_vec(),
        ),
        ("column.csv", b"user\nu1\nu2\n".to_vec()),
        (
            "no_header.csv",
            many(
                |dice, _| format!("{},{}", dice.roll(9), day(dice)),
                "7,2021-01-01",
            )
            .into_bytes(),
        ),
        (
            "no_time.csv",
            many(|dice, at| format!("u{},{at}", dice.roll(9)), "user,price").into_bytes(),
        ),
        (
            "no_repeat.csv",
            many(|dice, at| format!("u{at},{}", day(dice)), "user,at").into_bytes(),
        ),
        (
            "one_day.csv",
            many(|dice, _| format!("u{},2021-01-05", dice.roll(9)), "user,at").into_bytes(),
        ),
        ("line.csv", vec![b'x'; 5_000_000]),
    ];
    let project = Project::new();
    let mut told = String::new();
    for (name, content) in files {
        fs::write(project.path(name), content).expect("a file");
        let outcome = wrong(&project, &["init", name]);
        told.push_str(&outcome.steady_stderr());
    }
    fs::create_dir(project.path("folder")).expect("a folder");
    for name in ["folder", "missing.csv", "/dev/null"] {
        told.push_str(&wrong(&project, &["init", name]).steady_stderr());
    }
    insta::assert_snapshot!("init_mistakes", told);
}

#[test]
fn files_of_one_table_have_the_same_columns() {
    let rows = |header: &str| {
        table(header, |dice, _| {
            format!("u{},{},1", dice.roll(9), day(dice))
        })
    };
    let project = Project::new()
        .file("a.csv", &rows("user,at,x"))
        .file("b.csv", &rows("user,at,x"))
        .file("c.csv", &rows("user,at,y"))
        .file("d.csv", &rows("user,at,x").replace(',', ";"));
    project.ok(&["init", "a.csv", "b.csv", "--dir", "both"]);
    assert!(
        project
            .read("both/workflow.yaml")
            .contains("data: [../a.csv, ../b.csv]")
    );
    let outcome = wrong(&project, &["init", "a.csv", "c.csv"]);
    assert!(
        outcome.stderr.contains("has a column `y` besides those of"),
        "{outcome}"
    );
    let outcome = wrong(&project, &["init", "a.csv", "d.csv"]);
    assert!(
        outcome
            .stderr
            .contains("another format, delimiter or encoding"),
        "{outcome}"
    );
}

#[test]
fn the_folder_has_to_be_one() {
    let project = Project::new().file("bank.csv", &bank());
    let outcome = wrong(&project, &["init", "bank.csv", "--dir", "bank.csv/x"]);
    assert!(outcome.stderr.contains("is no folder"), "{outcome}");
}
