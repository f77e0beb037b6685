//! Names that move, with their history: `refs/<name>/<time>-<digest>.json`, one object for every
//! move, never overwritten. The newest is where the name stands.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, RunId};
use crate::error::{Result, StoreError};
use crate::local_put::Durability;
use crate::objects::Listed;
use crate::store::Inner;

/// One position of a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefEntry {
    /// The artifact that the name stands for.
    pub artifact: Digest,
    /// The run that moved the name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The date that the artifact is for, where its workflow has one: `2024-01-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_date: Option<String>,
    /// When the name moved.
    pub moved_at: jiff::Timestamp,
}

impl Inner {
    pub(crate) async fn move_ref(&self, name: &str, entry: &RefEntry) -> Result<()> {
        check_name(name)?;
        let text = serde_json::to_string(entry).map_err(|error| {
            self.objects
                .store()
                .failed(&format!("refs/{name}"), error.to_string())
        })?;
        // Fixed width, so that names sort by time; two moves of one moment are two objects.
        let time = entry.moved_at.as_microsecond().max(0);
        let object = format!(
            "refs/{name}/{time:020}-{}.json",
            Digest::of(text.as_bytes()).short()
        );
        self.objects
            .write(&object, (text + "\n").into(), Durability::Sync)
            .await
            .map(drop)
    }

    pub(crate) async fn resolve_ref(&self, name: &str) -> Result<Option<RefEntry>> {
        check_name(name)?;
        match self.moves(name).await?.pop() {
            Some(object) => self.read_ref(&object).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn ref_history(&self, name: &str) -> Result<Vec<RefEntry>> {
        check_name(name)?;
        let mut history = Vec::new();
        for object in self.moves(name).await?.iter().rev() {
            history.extend(self.read_ref(object).await?);
        }
        Ok(history)
    }

    pub(crate) async fn list_refs(&self) -> Result<IndexMap<String, RefEntry>> {
        let mut newest: IndexMap<String, String> = IndexMap::new();
        let mut objects: Vec<String> = self
            .objects
            .list("refs")
            .await?
            .into_iter()
            .map(|listed| listed.name)
            .collect();
        objects.sort_unstable();
        for object in objects {
            if let Some(name) = name_of(&object) {
                newest.insert(name.to_owned(), object);
            }
        }
        newest.sort_unstable_keys();
        let mut refs = IndexMap::new();
        for (name, object) in newest {
            if let Some(entry) = self.read_ref(&object).await? {
                refs.insert(name, entry);
            }
        }
        Ok(refs)
    }

    /// The objects of one name, oldest first.
    async fn moves(&self, name: &str) -> Result<Vec<String>> {
        let listed: Vec<Listed> = self.objects.list(&format!("refs/{name}")).await?;
        let mut objects: Vec<String> = listed.into_iter().map(|listed| listed.name).collect();
        // `models/retail` may stand beside `models/retail/champion`.
        objects.retain(|object| name_of(object) == Some(name));
        objects.sort_unstable();
        Ok(objects)
    }

    async fn read_ref(&self, object: &str) -> Result<Option<RefEntry>> {
        let Some(bytes) = self.objects.read(object).await? else {
            return Ok(None);
        };
        let entry = serde_json::from_slice(&bytes);
        entry.map(Some).map_err(|error| {
            self.objects
                .store()
                .damaged(object, format!("it cannot be read: {error}"))
        })
    }
}

fn name_of(object: &str) -> Option<&str> {
    let (name, last) = object.strip_prefix("refs/")?.rsplit_once('/')?;
    last.ends_with(".json").then_some(name)
}

fn check_name(name: &str) -> Result<()> {
    let wrong = |why: &str| {
        Err(StoreError::BadRef {
            name: name.to_owned(),
            why: why.to_owned(),
        })
    };
    if name.is_empty() || name.len() > 200 {
        return wrong("a name has 1 to 200 characters");
    }
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
    {
        return wrong("a name has letters, digits, `.`, `_` and `-`, and `/` between its parts");
    }
    if name
        .split('/')
        .any(|part| part.is_empty() || part.starts_with('.'))
    {
        return wrong("no part of a name is empty or begins with `.`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for good in ["champion", "models/retail/champion", "a_b-c.d"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "../x",
            "a/../b",
            "/a",
            "a//b",
            "a/",
            "a b",
            "ä",
            ".hidden",
            &"x".repeat(201),
        ] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }
}
