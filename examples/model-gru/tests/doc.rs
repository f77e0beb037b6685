//! docs/add-a-model.md shows the files of this crate as they are.

use std::path::Path;

/// The files that the page has to show.
const SHOWN: [&str; 6] = [
    "Cargo.toml",
    "src/lib.rs",
    "src/main.rs",
    "src/model.rs",
    "src/params.rs",
    "tests/gru.rs",
];

/// Blocks that stand behind a link to a file of this crate, with the file.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut file = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some((_, link)) = line.split_once("(../examples/model-gru/") {
            file = link.split_once(')').map(|(path, _)| path.to_owned());
        } else if line.starts_with("```") {
            let text: Vec<&str> = lines
                .by_ref()
                .take_while(|line| line.trim() != "```")
                .collect();
            found.extend(file.take().map(|file| (file, text.join("\n") + "\n")));
        }
    }
    found
}

#[test]
fn the_page_shows_the_files_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/add-a-model.md")).unwrap();
    let blocks = blocks(&page);
    let mut shown: Vec<&str> = blocks.iter().map(|(file, _)| file.as_str()).collect();
    shown.sort_unstable();
    assert_eq!(shown, SHOWN);
    for (file, text) in &blocks {
        let there = std::fs::read_to_string(root.join(file)).unwrap();
        assert_eq!(
            *text, there,
            "docs/add-a-model.md shows {file} otherwise than it is"
        );
    }
}
