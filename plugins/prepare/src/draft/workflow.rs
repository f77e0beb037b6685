//! The plan as a workflow file with comments.

use jiff::civil::Date;

use crate::draft::channels::{Channel, Kind};
use crate::draft::column_name::{shown, sql};
use crate::draft::day_order::DayOrder;
use crate::draft::plan::Plan;
use crate::draft::sample::{Encoding, Format, Sample};
use crate::draft::split_plan::By;
use crate::draft::time_format::WITHOUT_ZONE;
use crate::draft::training;
use crate::draft::yaml::{Flow, Yaml};

/// The input port, so the table in SQL.
pub const TABLE: &str = "data";
/// Snapshots that are listed; of more the first and the last are written.
const MOST_LISTED: usize = 3;

/// Where the workflow is written to and what it may use.
pub struct Place<'a> {
    pub name: &'a str,
    /// The files as the workflow names them: `./data.csv`.
    pub paths: &'a [String],
    pub export: bool,
}

/// The text of the workflow.
pub fn written(sample: &Sample, plan: &Plan, place: &Place) -> String {
    let mut yaml = Yaml::new();
    yaml.comment(&format!(
        "Drafted from {} by `supermoe init`: from events to a table of AUC per task. All of it is a guess, \
         to be read and changed; `supermoe check FILE` says what is wrong, docs/data.md what each part means.",
        place.paths.join(", ")
    ));
    yaml.entry("name", &Flow::text(place.name));
    let params = [
        ("seed", Flow::raw(7)),
        ("d_model", Flow::raw(plan.sizes.d_model)),
        ("learning_rate", Flow::raw(plan.sizes.learning_rate)),
    ];
    yaml.entry("params", &Flow::map(params));
    yaml.map("stages", |yaml| {
        prepare(yaml, sample, plan, place);
        yaml.blank();
        training::pretrain(yaml, plan);
        yaml.blank();
        training::finetune(yaml, plan);
        yaml.blank();
        if place.export {
            training::export(yaml);
            yaml.blank();
        }
        training::evaluate(yaml);
    });
    yaml.finish()
}

fn prepare(yaml: &mut Yaml, sample: &Sample, plan: &Plan, place: &Place) {
    yaml.map_noted("prepare", "events to a dataset", |yaml| {
        yaml.entry("uses", &Flow::text("prepare"));
        let paths: Vec<Flow> = place.paths.iter().map(Flow::text).collect();
        let paths = match <[Flow; 1]>::try_from(paths) {
            Ok([only]) => only,
            Err(several) => Flow::List(several),
        };
        yaml.entry("inputs", &Flow::map([(TABLE, paths)]));
        yaml.map("with", |yaml| {
            sources(yaml, sample, plan, place);
            events(yaml, sample, plan);
            yaml.noted(
                "entity",
                &Flow::text(&plan.entity_guess().name),
                &entity_note(plan),
            );
            yaml.noted(
                "time",
                &Flow::text(&plan.when_guess().name),
                &time_note(plan),
            );
            yaml.noted(
                "history",
                &Flow::raw(format!("{}d", plan.split.history)),
                "how far a sample looks back",
            );
            yaml.noted(
                "length",
                &Flow::raw(plan.sizes.length),
                "most steps of a sample, the newest; totals and aggregates see all",
            );
            channels(yaml, plan);
            totals(yaml, plan);
            aggregates(yaml, plan);
            splits(yaml, plan);
            tasks(yaml, plan);
        });
    });
}

/// What the file does not say by its ending.
fn sources(yaml: &mut Yaml, sample: &Sample, plan: &Plan, place: &Place) {
    let first = place
        .paths
        .first()
        .map_or(String::new(), |path| path.to_ascii_lowercase());
    let unpacked = [".gz", ".zst"]
        .into_iter()
        .find_map(|packed| first.strip_suffix(packed));
    let ending = unpacked
        .unwrap_or(&first)
        .rsplit_once('.')
        .map_or("", |(_, ending)| ending);
    let mut source = Vec::new();
    match sample.format {
        Format::Parquet => {}
        Format::JsonLines => {
            if !["json", "jsonl", "ndjson"].contains(&ending) {
                source.push(("format", Flow::text("jsonl")));
            }
        }
        Format::Csv {
            delimiter,
            encoding,
        } => {
            if !["csv", "tsv"].contains(&ending) {
                source.push(("format", Flow::text("csv")));
            }
            if delimiter != if ending == "tsv" { b'\t' } else { b',' } {
                source.push(("delimiter", Flow::text(char::from(delimiter))));
            }
            match encoding {
                Encoding::Utf8 => {}
                Encoding::Latin1 => source.push(("encoding", Flow::text("latin-1"))),
                Encoding::Utf16 => source.push(("encoding", Flow::text("utf-16"))),
            }
        }
    }
    if let Some(pattern) = plan.time_pattern(sample.format) {
        let name = plan.when_guess().column.name.as_str();
        source.push(("types", Flow::map([(name, Flow::text("time"))])));
        if !pattern.is_empty() {
            source.push(("time_format", Flow::text(pattern)));
        }
    }
    if sample.odd_rows > 0
        || plan.when.fit.wrong > 0
        || !plan.when_guess().column.nothings().is_empty()
    {
        source.push(("bad_rows", Flow::text("skip")));
    }
    if !source.is_empty() {
        yaml.map_noted("sources", "how the file is read", |yaml| {
            yaml.entry(TABLE, &Flow::map(source))
        });
    }
}

fn events(yaml: &mut Yaml, sample: &Sample, plan: &Plan) {
    yaml.comment("The columns that are used, by the names that they have from here on.");
    for (column, why) in &plan.left_out {
        let name = shown(&plan.guesses[*column].column.name);
        yaml.comment(&format!("Left out: {name}: {why}."));
    }
    let mut columns = vec![
        column(&plan.entity_sql(), &plan.entity_guess().name),
        column(&plan.when_sql(sample.format), &plan.when_guess().name),
    ];
    columns.extend(
        plan.channels
            .iter()
            .map(|channel| column(&channel.sql, &channel.name)),
    );
    let mut query = format!("SELECT\n  {}\nFROM {TABLE}", columns.join(",\n  "));
    let incomplete = [
        (plan.entity_guess(), plan.entity_sql()),
        (plan.when_guess(), plan.when_sql(sample.format)),
    ];
    let conditions: Vec<String> = incomplete
        .iter()
        .filter(|(guess, _)| guess.column.missing() > 0)
        .map(|(_, sql)| format!("{sql} IS NOT NULL"))
        .collect();
    if !conditions.is_empty() {
        query.push_str(&format!("\nWHERE {}", conditions.join(" AND ")));
    }
    yaml.block("events", &query);
}

fn column(expression: &str, name: &str) -> String {
    let name = sql(name);
    match expression == name {
        true => name,
        false => format!("{expression} AS {name}"),
    }
}

fn entity_note(plan: &Plan) -> String {
    format!("who: {}", plan.entity.why)
}

fn time_note(plan: &Plan) -> String {
    let format = &plan.when.fit.format;
    let mut note = format!("when: {}", format.shown());
    match plan.when.order {
        DayOrder::Plain | DayOrder::Shown => {}
        DayOrder::Sorted => note.push_str(", the reading in which the file is sorted"),
        DayOrder::Assumed => {
            note.push_str(", but day and month may be the other way round: no number is above 12");
        }
    }
    if !format.has_zone(plan.when_guess().example()) {
        note.push_str(&format!(
            "; without a zone, so taken as {WITHOUT_ZONE} unless `time_zone` says another"
        ));
    }
    note
}

fn channels(yaml: &mut Yaml, plan: &Plan) {
    let time = plan.time_sql();
    let names = &plan.names;
    let category =
        |expr: String| Flow::map([("kind", Flow::text("category")), ("expr", Flow::Text(expr))]);
    let dense = |expr: &str| Flow::map([("kind", Flow::text("dense")), ("expr", Flow::text(expr))]);
    yaml.map_noted(
        "channels",
        "what each step carries; expr defaults to the column of the name",
        |yaml| {
            for channel in &plan.channels {
                yaml.noted(&channel.name, &of_column(channel), &channel.note);
            }
            yaml.entry(
                &names.weekday,
                &category(format!("date_part('dow', {time})")),
            );
            if plan.has_hours {
                yaml.entry(&names.hour, &category(format!("date_part('hour', {time})")));
            }
            if plan.months() {
                yaml.entry(
                    &names.month,
                    &category(format!("date_part('month', {time})")),
                );
                let month = category("date_part('month', snapshot)".to_owned());
                yaml.entry(&names.snapshot_month, &month);
            }
            yaml.noted(
                &names.gap,
                &dense("ln(1 + days_since_previous)"),
                "days since the step before",
            );
            yaml.noted(
                &names.recency,
                &dense("ln(1 + days_to_snapshot)"),
                "days from the step to the snapshot",
            );
        },
    );
}

fn of_column(channel: &Channel) -> Flow {
    let name = sql(&channel.name);
    match channel.kind {
        Kind::Id { min_count } => Flow::map([
            ("kind", Flow::text("id")),
            ("min_count", Flow::raw(min_count)),
        ]),
        Kind::Category => Flow::map([("kind", Flow::text("category"))]),
        Kind::Dense { signed_log: false } => Flow::map([("kind", Flow::text("dense"))]),
        Kind::Dense { signed_log: true } => {
            let expr = format!("signum({name}) * ln(1 + abs({name}))");
            Flow::map([("kind", Flow::text("dense")), ("expr", Flow::Text(expr))])
        }
    }
}

fn totals(yaml: &mut Yaml, plan: &Plan) {
    let count = |what: &str| Flow::map([("count", Flow::text(what))]);
    yaml.map_noted("totals", "running totals up to each step", |yaml| {
        yaml.entry(&plan.names.steps, &count("rows"));
        if plan.ties {
            yaml.entry(&plan.names.visits, &count("times"));
        }
        if let Some(amount) = &plan.amount {
            let sources = amount.sources.iter().map(Flow::text).collect();
            let sum = Flow::Text(format!("abs({})", amount.sql));
            let sum = Flow::map([("sum", sum), ("source", Flow::List(sources))]);
            yaml.noted(
                &plan.names.spent,
                &sum,
                "hidden in pre-training with what it would betray",
            );
        }
    });
}

fn aggregates(yaml: &mut Yaml, plan: &Plan) {
    let lately = format!("FILTER (WHERE days_to_snapshot < {})", plan.split.window);
    yaml.map_noted(
        "aggregates",
        "one number per sample, over its history",
        |yaml| {
            let events = format!("ln(1 + count(*) {lately})");
            yaml.entry(&plan.names.events_lately, &Flow::Text(events));
            yaml.entry(
                &plan.names.newest,
                &Flow::text("ln(1 + min(days_to_snapshot))"),
            );
            if let Some(amount) = &plan.amount {
                let spent = format!("ln(1 + coalesce(sum(abs({})) {lately}, 0))", amount.sql);
                yaml.entry(&plan.names.spent_lately, &Flow::Text(spent));
            }
        },
    );
}

fn splits(yaml: &mut Yaml, plan: &Plan) {
    match &plan.split.by {
        By::Time {
            every,
            train,
            valid,
            test,
        } => {
            yaml.comment("Every label window of train and valid ends by the first test snapshot.");
            yaml.map("splits", |yaml| {
                yaml.entry("by", &Flow::text("time"));
                yaml.entry("train", &snapshots(train, every));
                yaml.entry("valid", &dates(std::slice::from_ref(valid)));
                yaml.entry("test", &dates(test));
            });
        }
        By::Entity { snapshots } => {
            yaml.comment(
                "The data are too short for snapshots that follow each other: each entity is in one split.",
            );
            yaml.map("splits", |yaml| {
                yaml.entry("by", &Flow::text("entity"));
                yaml.entry("snapshots", &dates(snapshots));
                yaml.entry("valid", &Flow::raw("0.2"));
                yaml.entry("test", &Flow::raw("0.3"));
            });
        }
    }
}

fn snapshots(days: &[Date], every: &str) -> Flow {
    match days {
        [first, .., last] if days.len() > MOST_LISTED => Flow::map([
            ("from", Flow::raw(first)),
            ("to", Flow::raw(last)),
            ("every", Flow::text(every)),
        ]),
        days => dates(days),
    }
}

fn dates(days: &[Date]) -> Flow {
    Flow::List(days.iter().map(Flow::raw).collect())
}

fn tasks(yaml: &mut Yaml, plan: &Plan) {
    yaml.comment("What is to be predicted, asked of the days after the snapshot. Put your own questions here.");
    yaml.map("tasks", |yaml| {
        for task in &plan.tasks {
            let window = Flow::raw(format!("{}d", plan.split.window));
            let binary = Flow::map([
                ("kind", Flow::text("binary")),
                ("within", window),
                ("label", Flow::text(&task.label)),
            ]);
            yaml.noted(&task.name, &binary, &task.note);
        }
    });
}
