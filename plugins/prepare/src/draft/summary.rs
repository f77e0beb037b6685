//! The guesses in a few lines, for whoever has just asked for them.

use crate::draft::channels::Kind;
use crate::draft::column_name::shown;
use crate::draft::day_order::DayOrder;
use crate::draft::plan::Plan;
use crate::draft::sample::{Encoding, Format, Sample};
use crate::draft::split_plan::By;

/// What was guessed, by a word that stands before it.
pub fn lines(sample: &Sample, plan: &Plan) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("data", data(sample)),
        ("entity", entity(plan)),
        ("time", time(plan)),
        ("channels", channels(plan)),
    ];
    if !plan.left_out.is_empty() {
        let left_out = plan.left_out.iter().map(|(column, why)| {
            let name = shown(&plan.guesses[*column].column.name);
            format!("{name} ({why})")
        });
        lines.push(("left out", left_out.collect::<Vec<_>>().join(", ")));
    }
    lines.push(("splits", splits(plan)));
    let tasks = plan
        .tasks
        .iter()
        .map(|task| format!("{} ({})", task.name, task.note));
    lines.push(("tasks", tasks.collect::<Vec<_>>().join(", ")));
    lines
}

/// What is doubtful.
pub fn warnings(sample: &Sample, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    if plan.when.order == DayOrder::Assumed {
        let format = plan.when.fit.format.shown();
        warnings.push(format!(
            "{} is read as {format}, but day and month may be the other way round: no number is above 12, and \
             the file is sorted in neither reading",
            shown(&plan.when_guess().column.name)
        ));
    }
    if let Format::Csv {
        encoding: Encoding::Latin1,
        ..
    } = sample.format
    {
        warnings.push(
            "the text is no UTF-8, so read as latin-1: look whether its letters are right"
                .to_owned(),
        );
    }
    if sample.odd_rows > 0 {
        warnings.push(format!(
            "{} of the rows looked at have more or fewer fields than the header: they are skipped and counted",
            sample.odd_rows
        ));
    }
    if plan.when.fit.wrong > 0 {
        let name = shown(&plan.when_guess().column.name);
        warnings.push(format!(
            "{} values of {name} are no times: their rows are skipped and counted",
            plan.when.fit.wrong
        ));
    }
    for guess in [plan.entity_guess(), plan.when_guess()] {
        if guess.column.missing() > 0 {
            warnings.push(format!(
                "{} of {} rows have no {}: they are left out",
                guess.column.missing(),
                sample.rows,
                shown(&guess.column.name)
            ));
        }
    }
    if sample.complete && plan.entities < 50 {
        warnings.push(format!(
            "{} entities are few: expect figures that vary a lot",
            plan.entities
        ));
    }
    warnings
}

fn data(sample: &Sample) -> String {
    let format = match sample.format {
        Format::Parquet => "Parquet".to_owned(),
        Format::JsonLines => "JSON lines".to_owned(),
        Format::Csv {
            delimiter,
            encoding,
        } => {
            let delimiter = match delimiter {
                b'\t' => "tabs".to_owned(),
                other => format!("`{}`", char::from(other)),
            };
            let encoding = match encoding {
                Encoding::Utf8 => "UTF-8",
                Encoding::Latin1 => "latin-1",
                Encoding::Utf16 => "UTF-16",
            };
            format!("CSV with {delimiter}, {encoding}")
        }
    };
    let columns = sample.columns.len();
    match sample.complete {
        true => format!("{format}, {} rows, {columns} columns", sample.rows),
        false => format!(
            "{format}, about {} rows, {columns} columns; {} rows from all over were looked at",
            sample.total_rows, sample.rows
        ),
    }
}

fn entity(plan: &Plan) -> String {
    format!(
        "{}: {} values, {:.1} rows each; {}",
        shown(&plan.entity_guess().column.name),
        plan.entity.distinct,
        plan.entity.rows_each,
        plan.entity.why
    )
}

fn time(plan: &Plan) -> String {
    let why = match plan.when.order {
        DayOrder::Plain => "",
        DayOrder::Shown => ", as numbers above 12 show",
        DayOrder::Sorted => ", the reading in which the file is sorted",
        DayOrder::Assumed => ", or the other way round",
    };
    format!(
        "{}: {}{why}; from {} to {}",
        shown(&plan.when_guess().column.name),
        plan.when.fit.format.shown(),
        plan.days.first,
        plan.days.end.yesterday().unwrap_or(plan.days.end)
    )
}

fn channels(plan: &Plan) -> String {
    let of = |name: &str, is: fn(Kind) -> bool| {
        let channels = plan.channels.iter().filter(|channel| is(channel.kind));
        let names: Vec<&str> = channels.map(|channel| channel.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{name} {}", names.join(", ")))
    };
    let kinds = [
        of("id", |kind| matches!(kind, Kind::Id { .. })),
        of("category", |kind| kind == Kind::Category),
        of("dense", |kind| matches!(kind, Kind::Dense { .. })),
        Some("and what follows from the time".to_owned()),
    ];
    let kinds: Vec<String> = kinds.into_iter().flatten().collect();
    match kinds.as_slice() {
        [_] => "what follows from the time".to_owned(),
        kinds => kinds.join("; "),
    }
}

fn splits(plan: &Plan) -> String {
    match &plan.split.by {
        By::Time {
            every,
            train,
            valid,
            test,
        } => format!(
            "by time, every {every}: train {} to {}, valid {valid}, test {}",
            train.first().copied().unwrap_or(*valid),
            train.last().copied().unwrap_or(*valid),
            test.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        By::Entity { snapshots } => format!(
            "by entity, since the data span {} days only; snapshots {}",
            plan.days.count(),
            snapshots
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
