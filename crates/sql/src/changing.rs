//! Functions whose value is not the same in every run.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Volatility};

/// The name of the first such function in an expression: `now`, `random` and their like.
pub fn changing_function(expr: &Expr) -> Option<String> {
    let mut found = None;
    let walk = expr.apply(|expr| {
        if let Expr::ScalarFunction(call) = expr
            && call.func.signature().volatility != Volatility::Immutable
        {
            found = Some(call.func.name().to_owned());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    // The closure above never fails.
    walk.ok().and(found)
}
