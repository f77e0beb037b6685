//! Where the columns that are asked for stand in a file.

use supermoe_plugin::params::nearest;

use crate::params::Params;

/// Places of columns in a file's rows.
pub struct Columns {
    pub user: usize,
    pub bucket: usize,
    /// In the order of [`Params::sums`].
    pub sums: Vec<usize>,
    /// In the order of [`Params::pre_columns`].
    pub pre: Vec<usize>,
}

impl Columns {
    /// An error names the column that is missing, the nearest that is there, and all there are.
    pub fn find(params: &Params, names: &[&str]) -> Result<Columns, String> {
        let place = |name: &str| {
            let mut places = (0..names.len()).filter(|&i| names[i] == name);
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                (Some(_), Some(_)) => Err(format!("it has two columns `{name}`")),
                (None, _) => Err(missing(name, names)),
            }
        };
        let places = |wanted: Vec<&str>| wanted.into_iter().map(place).collect::<Result<_, _>>();
        Ok(Columns {
            user: place(&params.user)?,
            bucket: place(&params.bucket)?,
            sums: places(params.sums())?,
            pre: places(params.pre_columns())?,
        })
    }
}

fn missing(name: &str, names: &[&str]) -> String {
    let near = nearest(name, names.iter().copied());
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    format!(
        "it has no column `{name}`{near} (there are {})",
        names.join(", ")
    )
}
