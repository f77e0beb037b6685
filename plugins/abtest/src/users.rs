//! The users of an experiment: their rows added up.

use indexmap::IndexMap;

/// Of one user; numbers are in the order of the params' columns.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Index in [`Users::buckets`].
    pub bucket: usize,
    /// Over the user's rows.
    pub sums: Vec<f64>,
    /// From before the experiment; NaN where there is none.
    pub pre: Vec<f64>,
}

/// A row of the log.
pub struct LogRow<'a> {
    pub user: &'a str,
    pub bucket: &'a str,
    pub sums: &'a [f64],
    /// NaN where there is none.
    pub pre: &'a [f64],
}

/// Users and buckets in the order in which they appear.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Users {
    pub buckets: Vec<String>,
    /// By name.
    pub users: IndexMap<String, User>,
    /// Of the log.
    pub rows: u64,
    /// Names of the columns in [`User::pre`].
    pub pre_names: Vec<String>,
}

impl Users {
    /// An error says in words what contradicts an earlier row of the user.
    pub fn add(&mut self, row: &LogRow<'_>) -> Result<(), String> {
        if row.user.is_empty() {
            return Err("the user is empty".to_owned());
        }
        if row.bucket.is_empty() {
            return Err(format!("the bucket of user `{}` is empty", row.user));
        }
        self.rows += 1;
        let bucket = self.bucket(row.bucket);
        let Some(user) = self.users.get_mut(row.user) else {
            let user = User {
                bucket,
                sums: row.sums.to_vec(),
                pre: row.pre.to_vec(),
            };
            self.users.insert(row.user.to_owned(), user);
            return Ok(());
        };
        if user.bucket != bucket {
            return Err(format!(
                "user `{}` is in bucket `{}` here and in `{}` in an earlier row; expected each user in one bucket: leave \
                 out of the log who was in two",
                row.user, row.bucket, self.buckets[user.bucket]
            ));
        }
        let differing = user.pre.iter().zip(row.pre).position(|(earlier, now)| {
            // NaN is no value in either.
            earlier.total_cmp(now).is_ne() && !(earlier.is_nan() && now.is_nan())
        });
        if let Some(place) = differing {
            return Err(format!(
                "user `{}` has {} in column `{}` here and {} in an earlier row; expected one number from before the \
                 experiment, the same in all rows of a user",
                row.user,
                written(row.pre[place]),
                self.pre_names[place],
                written(user.pre[place])
            ));
        }
        let sums = user.sums.iter_mut().zip(row.sums);
        sums.for_each(|(sum, value)| *sum += value);
        Ok(())
    }

    fn bucket(&mut self, name: &str) -> usize {
        let known = self.buckets.iter().position(|bucket| bucket == name);
        known.unwrap_or_else(|| {
            self.buckets.push(name.to_owned());
            self.buckets.len() - 1
        })
    }
}

fn written(value: f64) -> String {
    match value.is_nan() {
        true => "nothing".to_owned(),
        false => value.to_string(),
    }
}
