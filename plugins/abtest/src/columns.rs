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
    /// As [`Columns::find`], for a text file: where it seems to be cut by another delimiter than it has, an error
    /// says so.
    pub fn find_in_text(params: &Params, names: &[&str]) -> Result<Columns, String> {
        Columns::find(params, names)
            .map_err(|problem| other_delimiter(params, names).unwrap_or(problem))
    }

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

/// A header of one field that holds what usually stands between fields.
fn other_delimiter(params: &Params, names: &[&str]) -> Option<String> {
    const USUAL: [(char, &str, &str); 4] = [
        ('\t', "a tab", "\\t"),
        (';', "`;`", ";"),
        (',', "`,`", ","),
        ('|', "`|`", "|"),
    ];
    let [only] = names else {
        return None;
    };
    let (_, name, written) = USUAL
        .into_iter()
        .find(|(letter, ..)| only.contains(*letter))?;
    let delimiter = match params.delimiter.as_str() {
        "\t" => "a tab".to_owned(),
        other => format!("`{other}`"),
    };
    Some(format!(
        "its header line has no {delimiter}, and has {name}: give the stage `delimiter: \"{written}\"`"
    ))
}

fn missing(name: &str, names: &[&str]) -> String {
    let near = nearest(name, names.iter().copied());
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    format!(
        "it has no column `{name}`{near} (there are {})",
        names.join(", ")
    )
}
