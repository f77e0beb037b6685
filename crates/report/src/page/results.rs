//! Metrics of the test split: rows are models, columns are tasks.

use indexmap::{IndexMap, IndexSet};

use crate::content::{EvaluatedGroup, EvaluatedTask, Evaluation, Report, Summary, TaskKind};
use crate::metric_name::{Better, metric_name, summary_text};
use crate::metric_table::MetricTable;
use crate::page::html::Html;
use crate::page::number_text::{count_text, percent_text};
use crate::page::table::{Cell, Table};
use crate::page::{Fold, certainty, close_fold, cut_note, experiment, nothing, open_fold};
use crate::time_text::metric_text;

/// Rows and columns of one table.
const MOST_ROWS: usize = 120;
const MOST_COLUMNS: usize = 24;
/// With more tasks than this, and more tasks than models, tasks become rows.
const MOST_TASK_COLUMNS: usize = 10;
/// Of a task's classes.
const MOST_CLASSES: usize = 40;
/// Tasks whose classes are shown.
const MOST_CLASS_TABLES: usize = 12;

/// The metrics that stand open, in this order.
const HEADLINES: [&str; 3] = ["auc", "r2", "rmse"];
const MEAN: &str = "mean";

pub(crate) fn draw(report: &Report, html: &mut Html) {
    if report.evaluations.is_empty() {
        nothing(
            html,
            "No stage of this run gave a report of an evaluation that could be read.",
        );
        journal(report, html);
        return;
    }
    for evaluation in &report.evaluations {
        if report.evaluations.len() > 1 {
            html.element("h3", &[], &evaluation.cell).raw("\n");
        }
        let content = &evaluation.content;
        if let Some(experiment) = &content.experiment {
            experiment::draw(experiment, html);
            continue;
        }
        if content.groups.is_empty() || content.tasks.is_empty() {
            nothing(
                html,
                "The report of this evaluation has no table of metrics.",
            );
            continue;
        }
        metrics(content, html);
        certainty::draw(content, html);
        cell_by_cell(content, html);
        classes(content, html);
        test_sets(content, html);
    }
}

/// Where nothing was evaluated: what the journal has.
fn journal(report: &Report, html: &mut Html) {
    for table in report
        .metrics
        .iter()
        .filter(|table| !table.columns.is_empty())
    {
        open_fold(html, &table.title, Fold::Closed);
        journal_table(table, html);
        close_fold(html);
    }
}

fn journal_table(table: &MetricTable, html: &mut Html) {
    let columns = table.columns.len().min(MOST_COLUMNS);
    let mut drawn = Table::new(&table.title).left("stage");
    for column in &table.columns[..columns] {
        drawn = drawn.right(column);
    }
    for row in table.rows.iter().take(MOST_ROWS) {
        let values = row.values.iter().take(columns);
        let values =
            values.map(|value| value.map_or_else(Cell::none, |v| Cell::number(metric_text(v))));
        drawn.row(
            std::iter::once(Cell::text(&row.cell))
                .chain(values)
                .collect(),
        );
    }
    drawn.render(html);
    cut_note(html, drawn.len(), table.rows.len(), "rows");
    cut_note(html, columns, table.columns.len(), "metrics");
}

fn metrics(evaluation: &Evaluation, html: &mut Html) {
    let names = metric_names(evaluation);
    let headline = HEADLINES.iter().filter(|name| names.contains(**name));
    let headline: Vec<&str> = headline.copied().collect();
    let rest: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !headline.contains(name))
        .collect();
    for metric in &headline {
        metric_table(evaluation, metric, html);
    }
    if !rest.is_empty() {
        let titles: Vec<&str> = rest.iter().map(|name| metric_name(name).title).collect();
        let fold = if headline.is_empty() {
            Fold::Open
        } else {
            Fold::Closed
        };
        open_fold(html, titles.join(", "), fold);
        for metric in rest {
            metric_table(evaluation, metric, html);
        }
        close_fold(html);
    }
}

/// Where rows are means over cells: the cells themselves.
fn cell_by_cell(evaluation: &Evaluation, html: &mut Html) {
    if evaluation.cells.len() <= evaluation.groups.len() {
        return;
    }
    let single = |mean: f64| Summary {
        mean,
        deviation: None,
        interval: None,
    };
    let groups = evaluation.cells.iter().map(|cell| EvaluatedGroup {
        source: cell.source.clone(),
        matrix: cell.matrix.clone(),
        cells: 1,
        tasks: cell
            .tasks
            .iter()
            .map(|(task, metrics)| {
                let metrics = metrics.iter();
                let metrics = metrics.map(|(name, value)| (name.clone(), value.map(single)));
                (task.clone(), metrics.collect())
            })
            .collect(),
        classes: IndexMap::new(),
        mean_auc: cell.mean_auc.map(single),
    });
    let cells = Evaluation {
        tasks: evaluation.tasks.clone(),
        groups: groups.collect(),
        ..Evaluation::default()
    };
    open_fold(
        html,
        format_args!("All {} cells", cells.groups.len()),
        Fold::Closed,
    );
    for metric in metric_names(&cells) {
        metric_table(&cells, metric, html);
    }
    close_fold(html);
}

fn metric_names(evaluation: &Evaluation) -> IndexSet<&str> {
    evaluation
        .groups
        .iter()
        .flat_map(|group| group.tasks.values())
        .flat_map(|metrics| metrics.keys().map(String::as_str))
        .collect()
}

/// A metric of every model and task: a column for each task, and the mean where there is one.
struct Values<'a> {
    rows: Vec<&'a EvaluatedGroup>,
    columns: Vec<&'a str>,
    /// By row, by column.
    values: Vec<Vec<Option<Summary>>>,
}

fn metric_table(evaluation: &Evaluation, metric: &str, html: &mut Html) {
    let columns = evaluation.tasks.iter().map(|task| task.name.as_str());
    let columns = columns.filter(|task| {
        let groups = &evaluation.groups;
        groups
            .iter()
            .any(|group| group.metric(task, metric).is_some())
    });
    let mut columns: Vec<&str> = columns.collect();
    let tasks = columns.len();
    let mut rows: Vec<&EvaluatedGroup> = evaluation.groups.iter().collect();
    if rows.len() > MOST_ROWS {
        // Of very many, the best are looked for.
        let mean = |group: &EvaluatedGroup| group.mean_auc.map_or(f64::MIN, |auc| auc.mean);
        rows.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
        rows.truncate(MOST_ROWS);
    }
    if metric == "auc" && tasks > 1 {
        columns.push(MEAN);
    }
    let value = |group: &EvaluatedGroup, place: usize| match place {
        place if place == tasks => group.mean_auc,
        place => group.metric(columns[place], metric),
    };
    let values = rows.iter().map(|group| {
        (0..columns.len())
            .map(|place| value(group, place))
            .collect()
    });
    let table = Values {
        values: values.collect(),
        rows,
        columns,
    };
    if table.values.iter().flatten().all(Option::is_none) {
        return;
    }
    let shown_rows = table.rows.len();
    if tasks > MOST_TASK_COLUMNS && tasks > shown_rows {
        table.tasks_as_rows(metric, tasks, html);
    } else {
        table.tasks_as_columns(metric, tasks, html);
    }
    if shown_rows < evaluation.groups.len() {
        html.element(
            "p",
            &[("class", &"note")],
            format_args!(
                "The {shown_rows} best of {} by mean AUC; all stand in report.json.",
                evaluation.groups.len()
            ),
        );
    }
    if evaluation.groups.iter().any(|group| group.cells > 1) {
        html.raw("<p class=\"note\">Mean ± standard deviation over cells that differ in their seed alone.</p>\n");
    }
}

impl Values<'_> {
    fn tasks_as_columns(&self, metric: &str, tasks: usize, html: &mut Html) {
        // The mean keeps its place, whatever is cut.
        let mean = (self.columns.len() > tasks).then_some(tasks);
        let shown: Vec<usize> = (0..tasks.min(MOST_COLUMNS)).chain(mean).collect();
        let mut table = Table::new(caption(metric)).left("model");
        if self.has_seeds() {
            table = table.right("cells");
        }
        for column in &shown {
            table = table.right(self.columns[*column]);
        }
        let marks: Vec<Vec<bool>> = shown
            .iter()
            .map(|column| best(metric, self.values.iter().map(|row| row[*column])))
            .collect();
        for (place, group) in self.rows.iter().enumerate() {
            let mut cells = vec![Cell::text(group.name())];
            if self.has_seeds() {
                cells.push(Cell::number(group.cells));
            }
            for (column, marks) in shown.iter().zip(&marks) {
                cells.push(value_cell(self.values[place][*column], marks[place]));
            }
            table.row(cells);
        }
        table.render(html);
        cut_note(html, tasks.min(MOST_COLUMNS), tasks, "tasks");
    }

    fn tasks_as_rows(&self, metric: &str, tasks: usize, html: &mut Html) {
        let models = self.rows.len().min(MOST_COLUMNS);
        let mut table = Table::new(caption(metric)).left("task");
        for group in &self.rows[..models] {
            table = table.right(group.name());
        }
        let shown = tasks.min(MOST_ROWS);
        // The mean first: below so many tasks nobody would find it.
        let order = (tasks..self.columns.len()).chain(0..shown);
        for column in order {
            let values = self.values.iter().map(|row| row[column]);
            let marks = best(metric, values.clone());
            let mut cells = vec![Cell::text(self.columns[column])];
            let values = values.zip(marks).take(models);
            cells.extend(values.map(|(value, mark)| value_cell(value, mark)));
            table.row(cells);
        }
        table.render(html);
        cut_note(html, shown, tasks, "tasks");
        cut_note(html, models, self.rows.len(), "models");
    }

    fn has_seeds(&self) -> bool {
        self.rows.iter().any(|group| group.cells > 1)
    }
}

fn caption(metric: &str) -> String {
    let name = metric_name(metric);
    match name.better {
        Better::Unknown => name.title.to_owned(),
        better => format!("{} · {}", name.title, better.note()),
    }
}

fn best(metric: &str, values: impl Iterator<Item = Option<Summary>>) -> Vec<bool> {
    let means: Vec<Option<f64>> = values.map(|value| value.map(|value| value.mean)).collect();
    metric_name(metric).better.best(&means)
}

fn value_cell(value: Option<Summary>, is_best: bool) -> Cell {
    match value {
        None => Cell::none(),
        Some(Summary {
            mean, deviation, ..
        }) if is_best => Cell::Best(summary_text(mean, deviation)),
        Some(Summary {
            mean, deviation, ..
        }) => Cell::Number(summary_text(mean, deviation)),
    }
}

/// One class against the rest, for tasks of several classes.
fn classes(evaluation: &Evaluation, html: &mut Html) {
    let tasks: IndexSet<&str> = evaluation
        .groups
        .iter()
        .flat_map(|group| group.classes.keys().map(String::as_str))
        .collect();
    for task in tasks.iter().take(MOST_CLASS_TABLES) {
        open_fold(html, format_args!("{task}, class by class"), Fold::Closed);
        for group in evaluation.groups.iter().take(MOST_CLASSES) {
            let Some(classes) = group.classes.get(*task) else {
                continue;
            };
            let metrics: IndexSet<&str> = classes
                .values()
                .flat_map(|metrics| metrics.keys().map(String::as_str))
                .collect();
            let mut table = Table::new(group.name()).fitted().left("class");
            for metric in &metrics {
                table = table.right(metric_name(metric).title);
            }
            for (class, values) in classes.iter().take(MOST_CLASSES) {
                let values = metrics.iter().map(|metric| {
                    let value = values.get(*metric).copied().flatten();
                    value_cell(value, false)
                });
                table.row(std::iter::once(Cell::text(class)).chain(values).collect());
            }
            table.render(html);
            cut_note(html, table.len(), classes.len(), "classes");
        }
        close_fold(html);
    }
    cut_note(
        html,
        tasks.len().min(MOST_CLASS_TABLES),
        tasks.len(),
        "tasks with classes",
    );
}

fn test_sets(evaluation: &Evaluation, html: &mut Html) {
    open_fold(html, "Test sets", Fold::Closed);
    let mut table =
        Table::new("The test set of each task; all models were measured on the same one")
            .fitted()
            .left("task")
            .left("kind")
            .right("samples")
            .right("without label")
            .left("labels");
    for task in evaluation.tasks.iter().take(MOST_ROWS) {
        table.row(vec![
            Cell::text(&task.name),
            Cell::text(task.kind.name()),
            Cell::number(count_text(task.samples)),
            Cell::number(count_text(task.unlabelled)),
            Cell::text(labels(task)),
        ]);
    }
    table.render(html);
    cut_note(html, table.len(), evaluation.tasks.len(), "tasks");
    close_fold(html);
}

fn labels(task: &EvaluatedTask) -> String {
    match (task.kind, task.positives, task.mean) {
        (TaskKind::Regression, _, Some(mean)) => {
            format!("mean {}", summary_text(mean, task.deviation))
        }
        (TaskKind::Multiclass, ..) => format!("{} classes", task.classes.len()),
        (_, Some(positives), _) if task.samples > 0 => format!(
            "{} positive, {}",
            count_text(positives),
            percent_text(positives as f64 / task.samples as f64)
        ),
        _ => String::new(),
    }
}
