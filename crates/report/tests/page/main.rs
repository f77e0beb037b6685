//! Pages of made-up runs: hostile names, and more of everything than a page can show.

mod certainty;
mod made_up;

use supermoe_report::{Problem, markdown, page};

use made_up::{SCRIPT, card, evaluation, found, full, report, stage, training};

#[test]
fn a_script_as_a_name_is_text_everywhere() {
    let page = page(&full(SCRIPT));
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>"));
    assert!(page.matches("&lt;script&gt;").count() > 60);
    let text = markdown(&full(SCRIPT));
    assert!(!text.contains("<script"), "{text}");
}

#[test]
fn quotes_leave_no_attribute() {
    let page = page(&full("\"' onload='x' \u{1b}[2J \u{202e}"));
    // As an attribute it would stand after a real quote.
    for attribute in ["\" onload", "' onload", "\"' "] {
        assert!(!page.contains(attribute), "{attribute}");
    }
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
}

#[test]
fn tags_are_closed_in_the_order_in_which_they_were_opened() {
    for report in [full("name"), report("empty")] {
        let page = page(&report);
        let mut open: Vec<&str> = Vec::new();
        let body = page.split("<body>").nth(1).expect("a body");
        for tag in body.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').expect("a tag ends");
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            if let Some(closed) = tag.strip_prefix('/') {
                if ["body", "html"].contains(&closed) {
                    continue;
                }
                assert_eq!(open.pop(), Some(closed), "{tag}");
            } else if !tag.ends_with('/') && name != "wbr" {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

#[test]
fn a_huge_run_has_a_bounded_page() {
    let mut huge = report("huge");
    huge.evaluations = vec![found("evaluate", evaluation(300, 200, "task"))];
    huge.training = (0..8)
        .map(|cell| found(&format!("t{}", cell % 4), training(48, 64, 10, "l")))
        .collect();
    huge.data = vec![found("prepare", card(786, 200, "channel"))];
    let cells = (0..2000).map(|cell| stage("train", &format!("train[seed={cell}]")));
    huge.stages = cells.collect();
    huge.run.counts.ran = 10_000;
    let page = page(&huge);
    let mebibytes = page.len() as f64 / f64::from(1 << 20);
    assert!(mebibytes < 6.0, "{mebibytes}");
    for said in [
        "The 120 best of 300 by mean AUC",
        "8 of 300 models are shown",
        "40 of 200 tasks are shown",
        "24 of 48 layers are shown",
        "762 more channels",
        "400 of 10000 stages are shown",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(markdown(&huge).len() < 1 << 20);
}

#[test]
fn weights_of_tasks_are_drawn_where_they_change() {
    let weighted = |cell: &str| {
        let mut content = training(1, 2, 2, "buy");
        for task in ["buy0", "buy1"] {
            let points = vec![(20.0, 1.0), (40.0, 1.25)];
            let series = supermoe_report::Series {
                recorded: points.len(),
                points,
            };
            content
                .series
                .insert(format!("train/{task}/lambda"), series);
        }
        found(cell, content)
    };
    let mut one = report("one");
    one.training = vec![found("finetune", training(1, 2, 2, "buy"))];
    assert!(!page(&one).contains("Task weight"));
    one.training = vec![weighted("finetune")];
    assert_eq!(
        page(&one).matches("Task weights").count(),
        2,
        "picture and caption"
    );
    let mut two = report("two");
    two.training = vec![weighted("finetune"), weighted("finetune")];
    let page = page(&two);
    assert!(page.contains("Task weight, buy0") && page.contains("Task weight, buy1"));
}

#[test]
fn the_best_of_a_column_is_set_in_bold() {
    let mut report = report("one");
    report.evaluations = vec![found("evaluate", evaluation(3, 1, "task"))];
    let page = page(&report);
    let bold: Vec<&str> = page
        .split("<strong>")
        .skip(1)
        .map(|rest| &rest[..6])
        .collect();
    assert_eq!(bold, ["0.5000"]);
    assert!(page.contains("model=task2</th><td class=\"right\"><strong>0.5000"));
}

#[test]
fn the_markdown_of_two_models() {
    let mut report = report("two_models");
    report.evaluations = vec![found("evaluate", evaluation(2, 2, "task"))];
    report.problems = vec![Problem {
        what: "finetune.history".to_owned(),
        why: "line 3 is no record".to_owned(),
    }];
    insta::assert_snapshot!(markdown(&report));
}
