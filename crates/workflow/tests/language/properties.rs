//! Whatever stands in a file, compiling ends with a workflow or with messages that can be shown.

use proptest::prelude::*;

use crate::fixture::{Fixture, cell, workflow};

const VALID: &str = "\
name: w
params: &p { seed: 7, list: [1, 2], text: 'a ''b' }
defaults: { retry: { attempts: 3, backoff: 5s..1m }, timeout: 2h, env: { A: \"${{ params.seed }}\" } }
on: { schedule: { cron: \"0 3 1 * *\", timezone: Europe/London } }
stages:
  a:
    uses: shell
    matrix: { seed: \"${{ params.list }}\", include: [{ seed: 1, x: 2 }] }
    when: ${{ matrix.seed != 2 }}
    with:
      command: |
        echo \"${{ params.text }}\" > ${{ outputs.out }}
      outputs: { out: file }
    publish: { out: \"r/${{ matrix.seed }}\" }
  b:
    uses: shell
    inputs: { all: a.*.out }
    with: { command: \"cat ${{ inputs.all }}\", outputs: *p }
";

fn compiles_or_explains(text: &str) {
    if let Err(errors) = Fixture::default().compile(text) {
        assert!(!errors.is_empty());
        assert!(!errors.render(80, false).is_empty());
        for error in &errors {
            assert!(!error.message.is_empty() && error.help.is_some(), "{error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in "(\\PC|[\n :{}\\[\\],&*!|>'\"%@`#-]){0,200}") {
        compiles_or_explains(&text);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        compiles_or_explains(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_changed_workflow_is_survived(at in 0..VALID.len(), cut in 0usize..12, put in "([a-z:{}\\[\\] \n'\"$&*!-]|\\$\\{\\{|\\}\\}|é){0,6}") {
        let end = (at + cut).min(VALID.len());
        if VALID.is_char_boundary(at) && VALID.is_char_boundary(end) {
            compiles_or_explains(&format!("{}{put}{}", &VALID[..at], &VALID[end..]));
        }
    }

    #[test]
    fn digits_are_kept_in_texts(number in "[1-9][0-9]{0,3}\\.[0-9]{1,6}") {
        let text = format!("name: w\nparams: {{ v: {number} }}\nstages:\n  a: {{ uses: shell, matrix: {{ v: [{number}] }}, env: {{ V: {number}, P: \"x${{{{ params.v }}}}\", M: \"${{{{ matrix.v }}}}\" }}, with: {{ command: x }} }}\n");
        let workflow = workflow(&text);
        let label = format!("a[v={number}]");
        let a = cell(&workflow, &label);
        prop_assert_eq!(&a.env["V"], &number);
        prop_assert_eq!(&a.env["P"], &format!("x{number}"));
        prop_assert_eq!(&a.env["M"], &number);
    }
}
