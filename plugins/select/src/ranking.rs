//! Candidates by how good they are.

use supermoe_trainer::choice::{Candidate, Goal};

use crate::candidate::CellOfCandidate;
use crate::history_metric::is_better;

/// Cells with the same params become one candidate with their mean. The best stands first; equal ones stand
/// in the order of the cells.
pub fn ranked(cells: Vec<CellOfCandidate>, goal: Goal) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for CellOfCandidate { params, cell } in cells {
        match candidates.iter_mut().find(|known| known.params == params) {
            Some(known) => known.cells.push(cell),
            None => candidates.push(Candidate {
                params,
                value: 0.0,
                cells: vec![cell],
            }),
        }
    }
    for candidate in &mut candidates {
        let sum: f64 = candidate.cells.iter().map(|cell| cell.value).sum();
        candidate.value = sum / candidate.cells.len() as f64;
    }
    // The sort is stable, so that ties stay in order.
    candidates
        .sort_by(|a, b| is_better(b.value, a.value, goal).cmp(&is_better(a.value, b.value, goal)));
    candidates
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use serde_json::json;
    use supermoe_trainer::choice::CandidateCell;

    use super::*;

    fn cell(rate: f64, value: f64) -> CellOfCandidate {
        CellOfCandidate {
            params: IndexMap::from([("rate".to_owned(), json!(rate))]),
            cell: CandidateCell {
                matrix: IndexMap::new(),
                value,
                epoch: 1,
            },
        }
    }

    fn order(cells: &[(f64, f64)], goal: Goal) -> Vec<(f64, f64)> {
        let cells = cells
            .iter()
            .map(|&(rate, value)| cell(rate, value))
            .collect();
        let ranked = ranked(cells, goal);
        let of =
            |candidate: &Candidate| (candidate.params["rate"].as_f64().unwrap(), candidate.value);
        ranked.iter().map(of).collect()
    }

    #[test]
    fn the_best_stands_first_and_ties_stay_in_order() {
        let cells = [(1.0, 0.5), (2.0, 0.75), (3.0, 0.5), (4.0, 0.75)];
        assert_eq!(
            order(&cells, Goal::Highest),
            [(2.0, 0.75), (4.0, 0.75), (1.0, 0.5), (3.0, 0.5)]
        );
        assert_eq!(
            order(&cells, Goal::Lowest),
            [(1.0, 0.5), (3.0, 0.5), (2.0, 0.75), (4.0, 0.75)]
        );
    }

    #[test]
    fn cells_with_the_same_params_are_one_candidate_with_their_mean() {
        // The best single cell is of rate 1, the best mean of rate 2.
        let cells = [(1.0, 0.9), (2.0, 0.7), (1.0, 0.3), (2.0, 0.7)];
        let found = order(&cells, Goal::Highest);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], (2.0, 0.7));
        assert!((found[1].1 - 0.6).abs() < 1e-12);
    }
}
