//! The report of a small real run, looked at in headless Chromium: at two widths, light and dark,
//! with scripts and without.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::command::{TaskError, debug_binary, root, run_shown};
use crate::suite::devtools::Browser;

const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const WIDTHS: [u32; 2] = [400, 1280];
const SCHEMES: [&str; 2] = ["light", "dark"];
const HEIGHT: u32 = 900;

/// What a section has to hold, by its id: the least number of tables, and of pictures.
const SECTIONS: [(&str, u64, u64); 9] = [
    ("results", 2, 0),
    ("curves", 0, 12),
    ("training", 0, 4),
    ("experts", 0, 2),
    ("data", 3, 1),
    ("params", 3, 0),
    ("stages", 1, 0),
    ("lineage", 1, 1),
    ("machine", 2, 0),
];

/// Run in the page by the browser, which needs no scripts of the page for it.
const MEASURE: &str = include_str!("measure_page.js");

pub fn run() -> Result<(), TaskError> {
    let program = chromium()?;
    let folder = tempfile::tempdir().map_err(TaskError::io("a temporary folder"))?;
    let page = page_of_a_run(&folder.path().join("project"))?;
    let mut browser = Browser::start(&program, &folder.path().join("profile"))?;
    for domain in ["Page", "Runtime", "Log", "Network"] {
        browser.call(&format!("{domain}.enable"), json!({}))?;
    }
    let pictures = root().join("target/browser");
    std::fs::create_dir_all(&pictures).map_err(TaskError::io("the folder of pictures"))?;
    let mut problems = Vec::new();
    for width in WIDTHS {
        for scheme in SCHEMES {
            let name = format!("report-{width}-{scheme}");
            let found = look(&mut browser, &page, width, scheme, &pictures.join(&name))?;
            problems.extend(
                found
                    .into_iter()
                    .map(|problem| format!("{name}: {problem}")),
            );
        }
    }
    println!("pictures are in {}", pictures.display());
    if problems.is_empty() {
        println!(
            "the report is sound at {WIDTHS:?} pixels, light and dark, with scripts and without"
        );
        return Ok(());
    }
    Err(TaskError::Other(problems.join("\n")))
}

/// The browser's program; installed where that can be done.
fn chromium() -> Result<String, TaskError> {
    let find = || PROGRAMS.into_iter().find(|program| starts(program));
    if let Some(program) = find() {
        return Ok(program.to_owned());
    }
    if starts("apt-get") {
        run_shown("apt-get", ["update", "-qq"], root())?;
        run_shown(
            "apt-get",
            [
                "install",
                "-y",
                "-qq",
                "--no-install-recommends",
                "chromium",
                "fonts-liberation",
            ],
            root(),
        )?;
    }
    find().map(str::to_owned).ok_or_else(|| {
        TaskError::Other(format!(
            "there is no Chromium: install one of {}",
            PROGRAMS.join(", ")
        ))
    })
}

fn starts(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// Runs the small workflow in a project of its own and gives the page that it leaves.
fn page_of_a_run(project: &Path) -> Result<PathBuf, TaskError> {
    let program = debug_binary()?.display().to_string();
    let workflows = project.join("workflows");
    std::fs::create_dir_all(&workflows).map_err(TaskError::io("a project"))?;
    std::fs::write(project.join("supermoe.toml"), "").map_err(TaskError::io("a project"))?;
    std::fs::copy(
        root().join("workflows/tiny.yaml"),
        workflows.join("tiny.yaml"),
    )
    .map_err(TaskError::io("workflows/tiny.yaml"))?;
    std::os::unix::fs::symlink(root().join("examples"), project.join("examples"))
        .map_err(TaskError::io("the examples"))?;
    run_shown(
        &program,
        ["run", "workflows/tiny.yaml", "--progress", "none"],
        project,
    )?;
    let reports = project.join(".supermoe/reports");
    let runs = std::fs::read_dir(&reports).map_err(TaskError::io("the reports"))?;
    let pages = runs
        .filter_map(Result::ok)
        .map(|run| run.path().join("report.html"));
    pages
        .into_iter()
        .find(|page| page.is_file())
        .ok_or_else(|| TaskError::Other(format!("no report in {}", reports.display())))
}

/// Everything that is wrong with the page at one width, in one scheme.
fn look(
    browser: &mut Browser,
    page: &Path,
    width: u32,
    scheme: &str,
    picture: &Path,
) -> Result<Vec<String>, TaskError> {
    let address = format!("file://{}", page.display());
    let size = json!({ "width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": false });
    browser.call("Emulation.setDeviceMetricsOverride", size)?;
    let scheme = json!({ "name": "prefers-color-scheme", "value": scheme });
    browser.call(
        "Emulation.setEmulatedMedia",
        json!({ "features": [scheme] }),
    )?;

    browser.call(
        "Emulation.setScriptExecutionDisabled",
        json!({ "value": true }),
    )?;
    open(browser, &address)?;
    let without_scripts = screenshot(browser)?;
    browser.call(
        "Emulation.setScriptExecutionDisabled",
        json!({ "value": false }),
    )?;
    let mut problems = complaints(&browser.take_events(), &address);

    open(browser, &address)?;
    let with_scripts = screenshot(browser)?;
    let evaluate = json!({ "expression": MEASURE, "returnByValue": true });
    let measured = browser.call("Runtime.evaluate", evaluate)?;
    problems.extend(complaints(&browser.take_events(), &address));
    if with_scripts != without_scripts {
        problems.push("it looks otherwise without scripts".to_owned());
    }
    std::fs::write(picture.with_extension("png"), decoded(&with_scripts))
        .map_err(TaskError::io("a picture"))?;
    problems.extend(wrong_with(&measured["result"]["value"]));
    Ok(problems)
}

fn open(browser: &mut Browser, address: &str) -> Result<(), TaskError> {
    browser.call("Page.navigate", json!({ "url": address }))?;
    browser.wait_for("Page.loadEventFired")
}

/// The whole page, as base64.
fn screenshot(browser: &mut Browser) -> Result<String, TaskError> {
    let layout = browser.call("Page.getLayoutMetrics", json!({}))?;
    let size = &layout["cssContentSize"];
    let clip =
        json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
    let taken = browser.call(
        "Page.captureScreenshot",
        json!({ "captureBeyondViewport": true, "clip": clip }),
    )?;
    taken["data"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| TaskError::Other("there is no screenshot".to_owned()))
}

/// Requests other than for the page itself, and whatever the console says.
fn complaints(events: &[Value], address: &str) -> Vec<String> {
    let complaint = |event: &Value| match event["method"].as_str()? {
        "Network.requestWillBeSent" => {
            let url = event["params"]["request"]["url"]
                .as_str()
                .unwrap_or_default();
            (url != address && !url.starts_with("data:")).then(|| format!("it asks for {url}"))
        }
        "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => {
            Some(format!("the console says {}", event["params"]))
        }
        _ => None,
    };
    events.iter().filter_map(complaint).collect()
}

/// What `measure_page.js` found, held to what is expected.
fn wrong_with(measured: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (what, found) in [
        ("wider than the window", &measured["overflow"]),
        ("too little contrast", &measured["contrast"]),
        ("a picture without words or size", &measured["pictures"]),
        ("a head without scope", &measured["heads"]),
        (
            "a box that scrolls and cannot be reached by keyboard",
            &measured["unreachable"],
        ),
        ("headings out of order", &measured["headings"]),
    ] {
        match found.as_array() {
            None => problems.push(format!("{what}: not measured: {measured}")),
            Some(found) => problems.extend(found.iter().map(|found| format!("{what}: {found}"))),
        }
    }
    for (section, tables, pictures) in SECTIONS {
        let found = &measured["sections"][section];
        let count = |what: &str| found[what].as_u64().unwrap_or(0);
        if count("tables") < tables || count("pictures") < pictures {
            problems.push(format!(
                "section {section} has {} tables and {} pictures, expected {tables} and {pictures}",
                count("tables"),
                count("pictures")
            ));
        }
    }
    problems
}

/// Base64 as the browser writes it.
fn decoded(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(u32::from(letter - b'A')),
        b'a'..=b'z' => Some(u32::from(letter - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(letter - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for value in text.bytes().filter_map(value) {
        bits = (bits << 6) | value;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        assert_eq!(decoded("aGVsbG8="), b"hello");
        assert_eq!(decoded("/+8="), [0xff, 0xef]);
    }

    #[test]
    fn a_page_that_was_not_measured_is_wrong() {
        assert!(wrong_with(&Value::Null).len() > SECTIONS.len());
    }
}
