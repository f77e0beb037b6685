//! How the tables of a network are kept: what is the same for all, and which of them go to files.

use std::path::PathBuf;

use supermoe_nn::Table;
use supermoe_nn::tables::{RowOptimizer, TablePlace, TableSettings};

/// See the module.
pub struct TablePlan {
    /// Of all tables, but for their place.
    pub settings: TableSettings,
    /// None: all in memory.
    pub budget: Option<TableBudget>,
}

/// Memory for tables, and the folder of what has no place there.
pub struct TableBudget {
    /// Bytes that no table has taken yet.
    pub left: u64,
    pub folder: PathBuf,
}

impl From<RowOptimizer> for TablePlan {
    /// In memory, in one part, updated before the next step.
    fn from(optimizer: RowOptimizer) -> TablePlan {
        TablePlan {
            settings: optimizer.into(),
            budget: None,
        }
    }
}

impl TablePlan {
    /// The settings of the next table; tables take of the budget in the order in which they ask.
    pub fn next(&mut self, rows: usize, dim: usize) -> TableSettings {
        let place = match &mut self.budget {
            None => TablePlace::Memory,
            Some(budget) => budget.place(Table::bytes(rows, dim, self.settings.optimizer)),
        };
        TableSettings {
            place,
            ..self.settings.clone()
        }
    }
}

impl TableBudget {
    fn place(&mut self, bytes: u64) -> TablePlace {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                TablePlace::Memory
            }
            None => TablePlace::File(self.folder.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_does_not_fit_in_what_is_left_goes_to_a_file() {
        let mut plan = TablePlan {
            budget: Some(TableBudget {
                left: 1000,
                folder: "work".into(),
            }),
            ..RowOptimizer::LazyAdam.into()
        };
        // A row of 4 values takes 48 bytes with its moments.
        let file = TablePlace::File("work".into());
        let places =
            [(21, 4), (20, 4), (1, 4), (1, 3)].map(|(rows, dim)| plan.next(rows, dim).place);
        let memory = TablePlace::Memory;
        assert_eq!(places, [file.clone(), memory.clone(), file, memory]);
    }
}
