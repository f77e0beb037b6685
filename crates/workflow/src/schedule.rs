//! `on.schedule`: cron, time zone and what happens to missed and overlapping runs.

use std::str::FromStr;

use croner::Cron;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::fields::Fields;
use crate::nearest;
use crate::node::{Kind, Node};
use crate::scope::Scope;
use crate::session::{Leaf, Reported, Session};

/// When a workflow runs by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Five fields: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// IANA name; `UTC` where nothing is said.
    pub timezone: String,
    pub catch_up: CatchUp,
    pub overlap: Overlap,
}

/// What happens to runs that were missed while nobody was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// None is made up for.
    None,
    /// Only the newest one is.
    #[default]
    Latest,
    /// Each one is, oldest first.
    All,
}

/// What happens when a run is due while the one before still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It waits for the one before.
    Queue,
    /// The one before is stopped for it.
    Cancel,
}

impl CatchUp {
    const WORDS: [(&str, CatchUp); 3] = [
        ("none", CatchUp::None),
        ("latest", CatchUp::Latest),
        ("all", CatchUp::All),
    ];
}

impl Overlap {
    const WORDS: [(&str, Overlap); 3] = [
        ("skip", Overlap::Skip),
        ("queue", Overlap::Queue),
        ("cancel", Overlap::Cancel),
    ];
}

impl Schedule {
    /// The date of the last run before the day `date`, in the schedule's time zone.
    pub fn previous(&self, date: Date) -> Option<Date> {
        let cron = Cron::from_str(&self.cron).ok()?;
        let midnight = date.to_zoned(TimeZone::get(&self.timezone).ok()?).ok()?;
        let previous = cron.find_previous_occurrence(&midnight, false).ok()?;
        Some(previous.date())
    }
}

/// Reads `on`.
pub(crate) fn read(session: &mut Session<'_>, node: &Node<'_>) -> Result<Schedule, Reported> {
    let on = Fields::read(session, node, "`on`", &["schedule"])?;
    let Some(node) = on.get("schedule") else {
        if !on.lacks("schedule") {
            return Err(Reported);
        }
        return Err(session.error(
            Code::MissingKey,
            node.span,
            "`on` has no `schedule`",
            "nothing here",
            "Write on: { schedule: { cron: \"0 3 1 * *\" } }, or leave `on` out.",
        ));
    };
    let fields = Fields::read(
        session,
        node,
        "`on.schedule`",
        &["cron", "timezone", "catch_up", "overlap"],
    )?;
    let scope = Scope::closed("`on.schedule`");
    let cron = match fields.get("cron") {
        Some(node) => cron(session, node, &scope),
        None if !fields.lacks("cron") => Err(Reported),
        None => Err(session.error(Code::MissingKey, node.span, "`on.schedule` has no `cron`", "`cron` is missing here", "Write for example cron: \"0 3 1 * *\": minute, hour, day of month, month, day of week.")),
    };
    let timezone = match fields.get("timezone") {
        Some(node) => timezone(session, node, &scope),
        None => Ok(Some("UTC".to_owned())),
    };
    let catch_up = word(
        session,
        fields.get("catch_up"),
        "`on.schedule.catch_up`",
        &CatchUp::WORDS,
        &scope,
    );
    let overlap = word(
        session,
        fields.get("overlap"),
        "`on.schedule.overlap`",
        &Overlap::WORDS,
        &scope,
    );
    Ok(Schedule {
        cron: cron?,
        timezone: timezone?.unwrap_or_else(|| "UTC".to_owned()),
        catch_up: catch_up?,
        overlap: overlap?,
    })
}

fn cron(session: &mut Session<'_>, node: &Node<'_>, scope: &Scope<'_>) -> Result<String, Reported> {
    let text = session
        .text(node, "`on.schedule.cron`", "a cron pattern", scope)?
        .unwrap_or_default();
    const HELP: &str = "Write five fields: minute, hour, day of month, month, day of week. \"0 3 1 * *\" is 03:00 on the first of each month.";
    let cron = match Cron::from_str(&text) {
        Ok(cron) => cron,
        Err(error) => {
            let message = format!("`{text}` is no cron pattern: {error}");
            return Err(session.error(
                Code::InvalidCron,
                node.span,
                message,
                "not a cron pattern",
                HELP,
            ));
        }
    };
    let fields = text.split_whitespace().count();
    if fields != 5 && !text.starts_with('@') {
        let message = format!("`{text}` is no cron pattern of five fields: it has {fields}");
        return Err(session.error(
            Code::InvalidCron,
            node.span,
            message,
            "expected five fields",
            HELP,
        ));
    }
    // From a fixed day, so that the answer is the same every day; 8 years hold every leap day.
    let start = Date::constant(2024, 1, 1).to_zoned(TimeZone::UTC);
    if let Ok(start) = start
        && cron.find_next_occurrence(&start, true).is_err()
    {
        let message = format!("the cron pattern `{text}` never comes due");
        return Err(session.error(
            Code::InvalidCron,
            node.span,
            message,
            "no such day",
            "Name a day that exists.",
        ));
    }
    Ok(text)
}

fn timezone(session: &mut Session<'_>, node: &Node<'_>, scope: &Scope<'_>) -> Leaf<String> {
    let Some(text) = session.text(node, "`on.schedule.timezone`", "an IANA time zone", scope)?
    else {
        return Ok(None);
    };
    // The bundled database, so that the answer is the same on every machine.
    if jiff::tz::TimeZoneDatabase::bundled().get(&text).is_ok() {
        return Ok(Some(text));
    }
    let known: Vec<String> = jiff::tz::TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.to_string())
        .collect();
    let near = zone_by_city(&text, &known)
        .or_else(|| nearest::nearest(&text, known.iter().map(String::as_str)));
    let help = near.map_or_else(
        || "Write a name such as Europe/London or UTC.".to_owned(),
        |near| format!("Did you mean `{near}`?"),
    );
    Err(session.error(
        Code::UnknownTimezone,
        node.span,
        format!("`{text}` is no IANA time zone"),
        "unknown time zone",
        help,
    ))
}

/// `Europe/London` for `london`.
fn zone_by_city<'a>(text: &str, known: &'a [String]) -> Option<&'a str> {
    known.iter().map(String::as_str).find(|name| {
        name.rsplit('/')
            .next()
            .is_some_and(|city| city.eq_ignore_ascii_case(text))
    })
}

fn word<T: Copy + Default>(
    session: &mut Session<'_>,
    node: Option<&Node<'_>>,
    what: &str,
    words: &[(&str, T)],
    scope: &Scope<'_>,
) -> Result<T, Reported> {
    let Some(node) = node else {
        return Ok(T::default());
    };
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let expected = names.join(", ");
    // An empty value is `~`; a bare `none` is the word.
    let text = match node.kind {
        Kind::Null => return Err(session.wrong_kind(node, what, &format!("one of {expected}"))),
        _ => session
            .text(node, what, &format!("one of {expected}"), scope)?
            .unwrap_or_default(),
    };
    match words.iter().find(|(name, _)| *name == text) {
        Some((_, value)) => Ok(*value),
        None => {
            let help = nearest::advice(&text, "word", names.iter().copied());
            Err(session.error(
                Code::UnknownChoice,
                node.span,
                format!("{what} has to be one of {expected}, found `{text}`"),
                "unknown word",
                help,
            ))
        }
    }
}
