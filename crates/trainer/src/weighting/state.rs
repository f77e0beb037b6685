//! What a weighting has learned, for checkpoints: lists of numbers by name.

use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    lists: BTreeMap<String, Vec<f64>>,
}

impl State {
    pub fn put(&mut self, name: &str, numbers: &[f64]) {
        self.lists.insert(name.to_owned(), numbers.to_vec());
    }

    /// Overwrites a list with the one of that name.
    ///
    /// # Errors
    /// There is none, or it is of another length.
    pub fn take(&self, name: &str, numbers: &mut Vec<f64>) -> Result<(), String> {
        match self.lists.get(name) {
            Some(list) if list.len() == numbers.len() => {
                numbers.clone_from(list);
                Ok(())
            }
            found => {
                let found = found.map_or(0, Vec::len);
                let expected = numbers.len();
                Err(format!(
                    "the state of the weighting has {found} numbers `{name}`, expected {expected}"
                ))
            }
        }
    }

    /// The numbers as bits: text would have to round, and has no NaN.
    pub fn to_bits(&self) -> BTreeMap<String, Vec<u64>> {
        let bits = |list: &Vec<f64>| list.iter().map(|number| number.to_bits()).collect();
        let lists = self.lists.iter();
        lists
            .map(|(name, list)| (name.clone(), bits(list)))
            .collect()
    }

    pub fn from_bits(lists: BTreeMap<String, Vec<u64>>) -> State {
        let numbers = |bits: Vec<u64>| bits.into_iter().map(f64::from_bits).collect();
        let lists = lists.into_iter();
        State {
            lists: lists.map(|(name, bits)| (name, numbers(bits))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_to_the_bit() {
        let mut state = State::default();
        state.put("a", &[0.1 + 0.2, f64::NAN, -0.0]);
        let back = State::from_bits(state.to_bits());
        let mut numbers = vec![0.0; 3];
        back.take("a", &mut numbers).unwrap();
        let bits = |numbers: &[f64]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&numbers), bits(&[0.1 + 0.2, f64::NAN, -0.0]));
        assert!(back.take("a", &mut vec![0.0; 2]).is_err());
        assert!(back.take("b", &mut vec![0.0; 3]).is_err());
    }
}
