//! Which ready cell starts next: slots, `max_parallel`, and the longest remaining path first.
//! Pure: it knows no process and no clock.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use supermoe_workflow::CellId;

use crate::run_options::Slots;

/// What a cell takes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    pub cpus: u32,
    pub memory_bytes: u64,
    pub gpus: u32,
}

/// What a cell was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Numbers of the GPUs.
    pub gpus: Vec<u32>,
}

/// Sorts first what has the longest path before it, then what comes first in the workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(Reverse<u64>, usize);

impl Rank {
    fn new(remaining_seconds: f64, cell: CellId) -> Rank {
        // The bits of floats that are not negative sort as the floats do.
        Rank(Reverse(remaining_seconds.max(0.0).to_bits()), cell.index())
    }
}

#[derive(Debug)]
struct StageQueue {
    ready: BTreeSet<Rank>,
    running: u32,
    limit: u32,
}

#[derive(Debug)]
pub(crate) struct Scheduler {
    free_cpus: u32,
    free_memory_bytes: u64,
    free_gpus: Vec<u32>,
    stages: Vec<StageQueue>,
    /// The first ready cell of every stage that may start one, with the stage.
    heads: BTreeSet<(Rank, usize)>,
    stage_of: Vec<u32>,
    demands: Vec<Demand>,
}

impl Scheduler {
    /// `stage_of` and `demands` are by cell, `limits` (`max_parallel`) by stage.
    pub(crate) fn new(
        slots: Slots,
        stage_of: Vec<u32>,
        demands: Vec<Demand>,
        limits: &[Option<u32>],
    ) -> Scheduler {
        let stages = limits
            .iter()
            .map(|limit| StageQueue {
                ready: BTreeSet::new(),
                running: 0,
                limit: limit.unwrap_or(u32::MAX).max(1),
            })
            .collect();
        Scheduler {
            free_cpus: slots.cpus,
            free_memory_bytes: slots.memory_bytes,
            free_gpus: (0..slots.gpus).rev().collect(),
            stages,
            heads: BTreeSet::new(),
            stage_of,
            demands,
        }
    }

    /// A cell whose inputs are there.
    pub(crate) fn push(&mut self, cell: CellId, remaining_seconds: f64) {
        let stage = self.stage_of[cell.index()] as usize;
        self.change(stage, |queue| {
            queue.ready.insert(Rank::new(remaining_seconds, cell));
        });
    }

    /// Takes the next cell that may start, and its slots.
    pub(crate) fn start_next(&mut self) -> Option<(CellId, Grant)> {
        if self.free_cpus == 0 {
            return None;
        }
        let (rank, stage) = self
            .heads
            .iter()
            .copied()
            .find(|(rank, _)| self.fits(self.demands[rank.1]))?;
        self.change(stage, |queue| {
            queue.ready.remove(&rank);
            queue.running += 1;
        });
        let demand = self.demands[rank.1];
        self.free_cpus -= demand.cpus;
        self.free_memory_bytes -= demand.memory_bytes;
        let gpus = self
            .free_gpus
            .split_off(self.free_gpus.len() - demand.gpus as usize);
        Some((
            CellId(rank.1),
            Grant {
                cpus: demand.cpus,
                memory_bytes: demand.memory_bytes,
                gpus,
            },
        ))
    }

    /// Gives the slots of a cell back.
    pub(crate) fn finish(&mut self, cell: CellId, grant: Grant) {
        self.free_cpus += grant.cpus;
        self.free_memory_bytes += grant.memory_bytes;
        self.free_gpus.extend(grant.gpus);
        self.free_gpus.sort_unstable_by(|one, other| other.cmp(one));
        let stage = self.stage_of[cell.index()] as usize;
        self.change(stage, |queue| queue.running -= 1);
    }

    fn fits(&self, demand: Demand) -> bool {
        demand.cpus <= self.free_cpus
            && demand.memory_bytes <= self.free_memory_bytes
            && demand.gpus as usize <= self.free_gpus.len()
    }

    /// Changes a stage's queue and keeps `heads` true.
    fn change(&mut self, stage: usize, change: impl FnOnce(&mut StageQueue)) {
        let queue = &mut self.stages[stage];
        if let Some(first) = queue.ready.first() {
            self.heads.remove(&(*first, stage));
        }
        change(queue);
        if let Some(first) = queue.ready.first()
            && queue.running < queue.limit
        {
            self.heads.insert((*first, stage));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CORE: Demand = Demand {
        cpus: 1,
        memory_bytes: 0,
        gpus: 0,
    };

    fn slots(cpus: u32) -> Slots {
        Slots {
            cpus,
            memory_bytes: 100,
            gpus: 2,
        }
    }

    #[test]
    fn the_longest_path_starts_first() {
        let mut scheduler =
            Scheduler::new(slots(2), vec![0, 1, 2], vec![CORE; 3], &[None, None, None]);
        for (cell, remaining) in [(0, 1.0), (1, 30.0), (2, 7.5)] {
            scheduler.push(CellId(cell), remaining);
        }
        let started: Vec<usize> = std::iter::from_fn(|| scheduler.start_next())
            .map(|(cell, _)| cell.index())
            .collect();
        assert_eq!(started, [1, 2]);
    }

    #[test]
    fn a_stage_keeps_to_max_parallel_and_others_pass_it() {
        let mut scheduler =
            Scheduler::new(slots(4), vec![0, 0, 1], vec![CORE; 3], &[Some(1), None]);
        for cell in 0..3 {
            scheduler.push(CellId(cell), 10.0 - cell as f64);
        }
        let (first, grant) = scheduler.start_next().expect("a slot");
        assert_eq!(first, CellId(0));
        assert_eq!(scheduler.start_next().expect("a slot").0, CellId(2));
        assert_eq!(scheduler.start_next(), None);
        scheduler.finish(first, grant);
        assert_eq!(scheduler.start_next().expect("a slot").0, CellId(1));
    }

    #[test]
    fn gpus_have_numbers() {
        let demand = Demand {
            cpus: 1,
            memory_bytes: 0,
            gpus: 1,
        };
        let mut scheduler = Scheduler::new(slots(4), vec![0; 3], vec![demand; 3], &[None]);
        (0..3).for_each(|cell| scheduler.push(CellId(cell), 1.0));
        let (first, grant) = scheduler.start_next().expect("a slot");
        assert_eq!(grant.gpus, [0]);
        assert_eq!(scheduler.start_next().expect("a slot").1.gpus, [1]);
        assert_eq!(scheduler.start_next(), None);
        scheduler.finish(first, grant);
        assert_eq!(scheduler.start_next().expect("a slot").1.gpus, [0]);
    }

    /// A random graph: for each cell its stage, demand, seconds, and earlier cells that it waits for.
    fn any_graph() -> impl Strategy<Value = Vec<(u32, Demand, u8, Vec<usize>)>> {
        let cell = (
            0..4_u32,
            1..4_u32,
            0..100_u64,
            0..3_u32,
            any::<u8>(),
            prop::collection::vec(any::<u16>(), 0..4),
        );
        prop::collection::vec(cell, 1..60).prop_map(|cells| {
            let wire = |(index, (stage, cpus, memory_bytes, gpus, seconds, upstream)): (
                usize,
                (_, _, _, _, _, Vec<u16>),
            )| {
                let upstream: BTreeSet<usize> = upstream
                    .into_iter()
                    .filter(|_| index > 0)
                    .map(|pick| pick as usize % index.max(1))
                    .collect();
                (
                    stage,
                    Demand {
                        cpus,
                        memory_bytes,
                        gpus,
                    },
                    seconds,
                    upstream.into_iter().collect(),
                )
            };
            cells.into_iter().enumerate().map(wire).collect()
        })
    }

    proptest! {
        /// A fake executor ends running cells in a random order: every cell runs once, after all
        /// it waits for, and nothing is ever given that is not there.
        #[test]
        fn every_cell_runs_once_after_its_inputs_within_the_slots(
            graph in any_graph(),
            cpus in 3..6_u32,
            limits in prop::collection::vec(prop::option::of(1..4_u32), 4),
            ends in prop::collection::vec(any::<u16>(), 60),
        ) {
            let slots = slots(cpus);
            let demands: Vec<Demand> = graph.iter().map(|cell| cell.1).collect();
            let stages: Vec<u32> = graph.iter().map(|cell| cell.0).collect();
            let mut scheduler = Scheduler::new(slots, stages.clone(), demands, &limits);
            let mut waits: Vec<usize> = graph.iter().map(|cell| cell.3.len()).collect();
            let mut running: Vec<(CellId, Grant)> = Vec::new();
            let mut ended = vec![false; graph.len()];
            for (cell, open) in waits.iter().enumerate() {
                if *open == 0 {
                    scheduler.push(CellId(cell), f64::from(graph[cell].2));
                }
            }
            for end in ends.into_iter().cycle().take(graph.len()) {
                while let Some((cell, grant)) = scheduler.start_next() {
                    prop_assert!(graph[cell.index()].3.iter().all(|upstream| ended[*upstream]));
                    prop_assert!(!ended[cell.index()]);
                    running.push((cell, grant));
                }
                prop_assert!(running.iter().map(|(_, grant)| grant.cpus).sum::<u32>() <= slots.cpus);
                prop_assert!(running.iter().map(|(_, grant)| grant.memory_bytes).sum::<u64>() <= slots.memory_bytes);
                let gpus: Vec<u32> = running.iter().flat_map(|(_, grant)| grant.gpus.clone()).collect();
                prop_assert!(gpus.iter().all(|gpu| *gpu < slots.gpus));
                prop_assert_eq!(gpus.iter().collect::<BTreeSet<_>>().len(), gpus.len());
                for (stage, limit) in limits.iter().enumerate() {
                    let count = running.iter().filter(|(cell, _)| stages[cell.index()] as usize == stage).count();
                    prop_assert!(count <= limit.unwrap_or(u32::MAX) as usize);
                }
                prop_assert!(!running.is_empty(), "nothing runs and not all has ended");
                let (cell, grant) = running.swap_remove(end as usize % running.len());
                prop_assert!(!std::mem::replace(&mut ended[cell.index()], true));
                scheduler.finish(cell, grant);
                for (next, (_, _, seconds, upstream)) in graph.iter().enumerate() {
                    if upstream.contains(&cell.index()) {
                        waits[next] -= 1;
                        if waits[next] == 0 {
                            scheduler.push(CellId(next), f64::from(*seconds));
                        }
                    }
                }
            }
            prop_assert!(ended.iter().all(|ended| *ended));
        }
    }
}
