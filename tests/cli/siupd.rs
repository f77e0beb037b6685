//! workflows/siupd.yaml on files of the form of the contest's: no header, Chinese text, empty fields.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::harness::Project;
use crate::init_data::Dice;

const USERS: u64 = 300;
const SHOPS: u64 = 60;
/// Of the shops, in turn: cate_1, cate_2, cate_3.
const CATEGORIES: [(&str, &str, &str); 5] = [
    ("美食", "快餐", "西式快餐"),
    ("超市便利店", "超市", ""),
    ("美食", "休闲茶饮", "奶茶"),
    ("购物", "本地购物", ""),
    ("美发/美容/美甲", "美容美发", ""),
];

/// shop_info.txt: shop_id, city, location_id, per_pay, score, comment_cnt, shop_level, cate_1 to cate_3.
fn shop_info() -> String {
    let mut dice = Dice::new(11);
    let mut text = String::new();
    for shop in 1..=SHOPS {
        let (cate_1, cate_2, cate_3) = CATEGORIES[(shop % 5) as usize];
        let city = dice.pick(&["湖州", "哈尔滨", "南昌", "天津"]);
        let (location, pay, level) = (dice.roll(1000), 1 + dice.roll(20), dice.roll(3));
        // Shops that nobody has rated have neither score nor comments.
        let rated = match dice.roll(3) {
            0 => ",".to_owned(),
            _ => format!("{},{}", dice.roll(5), dice.roll(30)),
        };
        writeln!(
            text,
            "{shop},{city},{location},{pay},{rated},{level},{cate_1},{cate_2},{cate_3}"
        )
        .expect("a string takes all");
    }
    text
}

/// user_pay.txt or user_view.txt: user_id, shop_id, time_stamp. Each user has a kind of shop that he likes.
fn events(seed: u64, each: u64) -> String {
    let mut dice = Dice::new(seed);
    let mut text = String::new();
    for user in 0..USERS {
        for _ in 0..1 + dice.roll(2 * each) {
            let liked = (user % 5) + 5 * dice.roll(SHOPS / 5);
            let shop = match dice.roll(4) {
                0 => 1 + dice.roll(SHOPS),
                // Shop 0 is not in shop_info.
                _ => liked,
            };
            let month = 2 + dice.roll(9);
            // The last day of the data has to be there: windows that end later have no labels.
            let day = 1 + dice.roll(if month == 10 { 31 } else { 28 });
            let hour = 8 + dice.roll(14);
            writeln!(
                text,
                "{},{shop},2016-{month:02}-{day:02} {hour:02}:00:00",
                1_000_000 + 7 * user
            )
            .expect("a string takes all");
        }
    }
    text
}

fn project() -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workflow = fs::read_to_string(root.join("workflows/siupd.yaml")).expect("the workflow");
    Project::new()
        .file("workflows/siupd.yaml", &workflow)
        .file("data/user_pay.txt", &events(12, 20))
        .file("data/user_view.txt", &events(13, 5))
        .file("data/shop_info.txt", &shop_info())
}

const SMALL: [&str; 11] = [
    "data=../data",
    "length=32",
    "d_model=16",
    "layers=1",
    "heads=2",
    "d_ff=32",
    "experts=2",
    "batch_size=32",
    "pretrain_steps=20",
    "epochs=6",
    "warmup_steps=5",
];

fn overrides() -> Vec<&'static str> {
    SMALL.into_iter().flat_map(|set| ["--set", set]).collect()
}

#[test]
fn the_papers_dataset_runs() {
    let project = project();
    let command = [vec!["run", "workflows/siupd.yaml"], overrides()].concat();
    project.ok(&command);
    assert_eq!(
        project.states(),
        [
            "prepare: ran",
            "pretrain: ran",
            "finetune: ran",
            "evaluate: ran"
        ]
    );

    project.ok(&["get", "latest", "prepare.dataset", "--to", "dataset"]);
    let json = |file: &str| -> serde_json::Value {
        serde_json::from_str(&project.read(file)).expect("JSON")
    };
    let card = json("dataset/card.json");
    let channels: Vec<&String> = card["channels"]
        .as_object()
        .expect("channels")
        .keys()
        .collect();
    let expected = [
        "event",
        "shop_id",
        "city",
        "location",
        "per_pay",
        "score",
        "comment_cnt",
        "shop_level",
        "cate_1",
        "cate_2",
        "cate_3",
    ];
    assert_eq!(channels, expected);
    let samples = |split: &str| card["splits"][split]["samples"].as_u64().expect("a count");
    let share = samples("test") as f64 / (samples("train") + samples("test")) as f64;
    assert!((0.12..0.28).contains(&share), "{share}");

    let schema = json("dataset/schema.json");
    let tasks = schema["tasks"].as_array().expect("tasks");
    let category = tasks
        .iter()
        .find(|task| task["name"] == "category")
        .expect("the task");
    let classes: BTreeSet<&str> = category["classes"]
        .as_array()
        .expect("classes")
        .iter()
        .filter_map(serde_json::Value::as_str)
        .collect();
    let all: BTreeSet<&str> = CATEGORIES.iter().map(|(cate_1, ..)| *cate_1).collect();
    assert_eq!(classes, all);

    // Who likes which kind of shop is plain to see, so it has to be learned.
    let report = project.ok(&["get", "latest", "evaluate.report", "--to", "report"]);
    let report = (report, json("report/report.json")).1;
    let tasks = &report["cells"][0]["tasks"];
    for task in ["category_1", "category_2", "category"] {
        let auc = tasks[task]["auc"].as_f64().expect("an AUC");
        assert!(auc > 0.65, "{task}: {auc}");
    }
}
