//! Which formats the values of a column are times in.

use crate::draft::time_format::{EpochUnit, TimeFormat};

const DATES: [&str; 21] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%Y",
    "%m.%d.%Y",
    "%d.%m.%y",
    "%m.%d.%y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%d/%b/%Y",
    "%Y%m%d",
];
const TIMES: [&str; 12] = [
    "",
    " %H:%M:%S",
    " %H:%M",
    " %H:%M:%S%.f",
    "T%H:%M:%S",
    "T%H:%M",
    "T%H:%M:%S%.f",
    " %I:%M %p",
    " %I:%M:%S %p",
    ":%H:%M:%S",
    ", %H:%M",
    ", %H:%M:%S",
];
const ZONES: [&str; 7] = ["", "%z", " %z", "%:z", " %:z", "Z", " UTC"];

/// A format, and how many of the values are no times in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    pub format: TimeFormat,
    pub wrong: usize,
}

/// Of a column of times at most one value in so many may be none.
const WRONG_ONE_IN: usize = 20;

/// The formats in which the texts, each with its count, are times, the best first.
pub fn fits(texts: &[(&str, u32)]) -> Vec<Fit> {
    let total: usize = texts.iter().map(|(_, count)| *count as usize).sum();
    // A few of them throw most formats out.
    let few: Vec<&str> = spread(texts, 12).collect();
    let fit = |format: TimeFormat| {
        let right = few
            .iter()
            .filter(|text| format.micros(text).is_some())
            .count();
        if right * 2 < few.len() || few.is_empty() {
            return None;
        }
        let wrong = texts
            .iter()
            .filter(|(text, _)| format.micros(text).is_none());
        let wrong = wrong.map(|(_, count)| *count as usize).sum();
        (wrong * WRONG_ONE_IN <= total).then_some(Fit { format, wrong })
    };
    let epochs = EpochUnit::ALL.into_iter().map(TimeFormat::Epoch);
    let patterns = ZONES.into_iter().flat_map(|zone| {
        TIMES.into_iter().flat_map(move |time| {
            DATES
                .into_iter()
                .filter(move |_| !time.is_empty() || zone.is_empty())
                .map(move |date| TimeFormat::Pattern(format!("{date}{time}{zone}")))
        })
    });
    let all = std::iter::once(TimeFormat::Iso)
        .chain(epochs)
        .chain(patterns);
    let mut fits: Vec<Fit> = all.filter_map(fit).collect();
    fits.sort_by_key(|fit| fit.wrong);
    fits
}

/// About `count` of them, from all over.
fn spread<'a>(texts: &'a [(&'a str, u32)], count: usize) -> impl Iterator<Item = &'a str> {
    let step = (texts.len() / count).max(1);
    texts.iter().step_by(step).map(|(text, _)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted<'a>(texts: &[&'a str]) -> Vec<(&'a str, u32)> {
        texts.iter().map(|text| (*text, 1)).collect()
    }

    fn first(texts: &[&str]) -> Option<String> {
        fits(&counted(texts)).first().map(|fit| fit.format.shown())
    }

    #[test]
    fn one_wrong_value_in_many_is_let_pass() {
        let mut texts = vec![("2021-03-04", 99), ("soon", 1)];
        assert_eq!(
            fits(&texts)[0],
            Fit {
                format: TimeFormat::Iso,
                wrong: 1
            }
        );
        texts[1].1 = 50;
        assert_eq!(fits(&texts), []);
    }

    #[test]
    fn formats_are_found_by_the_values() {
        for (texts, shown) in [
            (vec!["2021-03-04", "2021-03-05"], "ISO 8601"),
            (
                vec!["2021-03-04 05:06:07", "2021-03-04T05:06:07.5Z"],
                "ISO 8601",
            ),
            (vec!["2021-03-04T05:06:07+02:00"], "ISO 8601"),
            (vec!["2021-03-04 05:06"], "yyyy-mm-dd hh:mm"),
            (vec!["31/12/2021", "01/02/2021"], "dd/mm/yyyy"),
            (vec!["12/31/2021 4:05 PM"], "mm/dd/yyyy hh:mm AM"),
            (vec!["31.12.21 23:59"], "dd.mm.yy hh:mm"),
            (vec!["04-Mar-2021"], "dd-Mon-yyyy"),
            (
                vec!["04/Mar/2021:05:06:07 +0000"],
                "dd/Mon/yyyy:hh:mm:ss +hhmm",
            ),
            (vec!["20210304", "20210305"], "yyyymmdd"),
            (
                vec!["1614834367", "1614834368"],
                "seconds since 1970-01-01 UTC",
            ),
            (vec!["1614834367123"], "milliseconds since 1970-01-01 UTC"),
        ] {
            assert_eq!(first(&texts).as_deref(), Some(shown), "{texts:?}");
        }
        for none in [
            vec!["yesterday"],
            vec!["32/13/2021"],
            vec!["2021-02-30"],
            vec!["17"],
            vec![""],
            vec!["2021-03-04", "soon"],
            vec![],
        ] {
            assert_eq!(first(&none), None, "{none:?}");
        }
    }
}
