//! Random graphs of real processes: every stage sees all that is before it, slots are kept, and
//! a second run has nothing to do.

use std::collections::BTreeSet;
use std::fmt::Write;

use proptest::prelude::*;
use supermoe_engine::RunEvent;

use crate::project::Project;

/// For each stage the earlier ones that it reads, and how many cores it takes.
fn any_graph() -> impl Strategy<Value = Vec<(BTreeSet<usize>, u32)>> {
    prop::collection::vec((prop::collection::vec(any::<u16>(), 0..3), 1..4_u32), 1..12).prop_map(
        |stages| {
            let wire = |(index, (picks, cpus)): (usize, (Vec<u16>, u32))| {
                let upstream = picks
                    .into_iter()
                    .filter(|_| index > 0)
                    .map(|pick| pick as usize % index.max(1));
                (upstream.collect(), cpus)
            };
            stages.into_iter().enumerate().map(wire).collect()
        },
    )
}

fn workflow(graph: &[(BTreeSet<usize>, u32)]) -> String {
    let mut yaml = String::new();
    for (stage, (upstream, cpus)) in graph.iter().enumerate() {
        let inputs: Vec<String> = upstream
            .iter()
            .map(|from| format!("i{from}: s{from}.o"))
            .collect();
        let reads: Vec<String> = upstream
            .iter()
            .map(|from| format!("${{{{ inputs.i{from} }}}}"))
            .collect();
        let _ = write!(
            yaml,
            "\n  s{stage}:\n    uses: shell\n    resources: {{ cpus: {cpus} }}\n    inputs: {{ {} }}\n    with: {{ command: 'cat {} /dev/null > ${{{{ outputs.o }}}}; echo s{stage} >> ${{{{ outputs.o }}}}', outputs: {{ o: file }} }}\n    publish: {{ o: out/s{stage} }}\n",
            inputs.join(", "),
            reads.join(" "),
        );
    }
    yaml
}

fn ancestors(graph: &[(BTreeSet<usize>, u32)], stage: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::from([format!("s{stage}")]);
    for upstream in &graph[stage].0 {
        found.extend(ancestors(graph, *upstream));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn every_stage_sees_what_is_before_it(graph in any_graph()) {
        let mut project = Project::new();
        project.options.slots.cpus = 3;
        let yaml = workflow(&graph);
        let ran = project.run(&yaml);
        prop_assert_eq!(ran.ran().len(), graph.len());
        let mut running = 0;
        for event in &ran.events {
            match event {
                RunEvent::StageStarted { cell, .. } => running += cores(&graph, &cell.stage),
                RunEvent::StageFinished { cell, .. } => running -= cores(&graph, &cell.stage),
                _ => {}
            }
            prop_assert!(running <= 3, "{} cores at one time", running);
        }
        for stage in 0..graph.len() {
            let text = project.read(&format!("out/s{stage}"));
            let seen: BTreeSet<String> = text.lines().map(str::to_owned).collect();
            prop_assert_eq!(seen, ancestors(&graph, stage));
        }
        prop_assert_eq!(project.run(&yaml).ran(), [""; 0]);
    }
}

fn cores(graph: &[(BTreeSet<usize>, u32)], stage: &str) -> u32 {
    graph[stage[1..].parse::<usize>().expect("a number")].1
}
