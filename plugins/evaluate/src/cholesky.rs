//! Solves equations with a symmetric, positive definite matrix.

/// The lower factor L of a matrix L Lᵀ.
pub struct Cholesky {
    size: usize,
    /// Row-major [size, size]; what stands above the diagonal is not looked at.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Of a matrix [size, size] of which the lower half is read. Where rounding leaves no positive pivot,
    /// its direction is as good as unknown and the pivot is lifted.
    pub fn of(mut matrix: Vec<f64>, size: usize) -> Cholesky {
        let largest = (0..size).map(|i| matrix[i * size + i]).fold(0.0, f64::max);
        let least = (largest * 1e-12).max(f64::MIN_POSITIVE);
        for i in 0..size {
            let (above, row) = matrix.split_at_mut(i * size);
            for j in 0..i {
                let other = &above[j * size..j * size + j + 1];
                let sum: f64 = row[..j].iter().zip(other).map(|(a, b)| a * b).sum();
                row[j] = (row[j] - sum) / other[j];
            }
            let sum: f64 = row[..i].iter().map(|entry| entry * entry).sum();
            row[i] = (row[i] - sum).max(least).sqrt();
        }
        Cholesky {
            size,
            lower: matrix,
        }
    }

    /// Replaces b [size] by the solution of matrix x = b.
    pub fn solve(&self, b: &mut [f64]) {
        let size = self.size;
        for i in 0..size {
            let row = &self.lower[i * size..=i * size + i];
            let sum: f64 = row[..i].iter().zip(&*b).map(|(a, x)| a * x).sum();
            b[i] = (b[i] - sum) / row[i];
        }
        for i in (0..size).rev() {
            b[i] /= self.lower[i * size + i];
            let solved = b[i];
            let row = &self.lower[i * size..i * size + i];
            b[..i]
                .iter_mut()
                .zip(row)
                .for_each(|(x, a)| *x -= a * solved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_solution_solves() {
        let (size, matrix) = (3, vec![4.0, 0.0, 0.0, 2.0, 5.0, 0.0, -1.0, 0.5, 3.0]);
        let full = |i: usize, j: usize| matrix[i.max(j) * size + i.min(j)];
        let mut x = [1.0, -2.0, 0.25];
        let b = x;
        Cholesky::of(matrix.clone(), size).solve(&mut x);
        for (i, expected) in b.into_iter().enumerate() {
            let found: f64 = (0..size).map(|j| full(i, j) * x[j]).sum();
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_singular_matrix_gives_finite_numbers() {
        let mut b = [1.0, 1.0];
        Cholesky::of(vec![1.0, 0.0, 1.0, 1.0], 2).solve(&mut b);
        assert!(b.iter().all(|x| x.is_finite()));
    }
}
