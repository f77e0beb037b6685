//! Files that are no text, or not there.

use supermoe_workflow::{Code, Source};

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let code = |source: Result<Source, supermoe_workflow::Diagnostics>| match source {
        Ok(_) => None,
        Err(errors) => errors.iter().next().map(|error| error.code),
    };
    let missing = folder.path().join("missing.yaml");
    assert_eq!(code(Source::read(&missing)), Some(Code::UnreadableFile));
    let bytes = folder.path().join("bytes.yaml");
    std::fs::write(&bytes, b"name: w\nx: \xff\n").expect("a file");
    let errors = Source::read(&bytes).expect_err("not UTF-8");
    assert!(
        errors.to_string().contains("byte 0xff in line 2"),
        "{errors}"
    );
    let large = folder.path().join("large.yaml");
    std::fs::write(&large, vec![b' '; (16 << 20) + 1]).expect("a file");
    assert_eq!(code(Source::read(&large)), Some(Code::FileTooLarge));
    let right = folder.path().join("right.yaml");
    std::fs::write(&right, "name: w\n").expect("a file");
    assert_eq!(
        Source::read(&right)
            .map(|source| source.text().to_owned())
            .ok()
            .as_deref(),
        Some("name: w\n")
    );
}
