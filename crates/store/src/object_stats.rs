//! What is known of many objects at once, without reading them.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};

use crate::error::Result;
use crate::error_mapping::{Access, StoreName};
use crate::local_put::{LocalFolder, Stat};
use crate::objects::{Listed, Objects, PARALLEL_REQUESTS, blocking};

/// Up to this many objects are asked for one by one; more are looked up in a list.
const FEW: usize = 64;
/// A list is read as long as it has at most this many objects for each one looked up.
const LISTED_FOR_ONE: usize = 30;

impl Objects {
    /// What is known of many objects, in the order of their names: one pass of stats on a
    /// folder; a list, or requests in parallel, on a bucket.
    pub(crate) async fn stat_many(&self, names: Vec<String>) -> Result<Vec<Option<Stat>>> {
        if let Some(folder) = self.folder().cloned() {
            let store = self.store().clone();
            return blocking(move || stat_in_folder(&folder, &store, &names)).await;
        }
        let mut known = HashMap::new();
        if names.len() > FEW {
            known = self.list_for(&names).await?;
        }
        let stats = names.iter().map(|name| {
            let listed = known.get(name).copied();
            async move {
                match listed {
                    Some(stat) => Ok(stat),
                    None => self.stat(name).await,
                }
            }
        });
        stream::iter(stats)
            .buffered(PARALLEL_REQUESTS)
            .try_collect()
            .await
    }

    /// Lists the folders of the names and gives what it says of each name. A list that grows
    /// much longer than the names is given up: its names are absent from the map.
    async fn list_for(&self, names: &[String]) -> Result<HashMap<String, Option<Stat>>> {
        let mut by_folder: HashMap<&str, Vec<&String>> = HashMap::new();
        for name in names {
            by_folder
                .entry(name.split('/').next().unwrap_or_default())
                .or_default()
                .push(name);
        }
        let mut known = HashMap::new();
        for (folder, names) in by_folder {
            if names.len() <= FEW {
                continue;
            }
            let most = names.len().saturating_mul(LISTED_FOR_ONE);
            let listed: Vec<Listed> = self
                .list_stream(folder)
                .take(most + 1)
                .try_collect()
                .await?;
            if listed.len() > most {
                continue;
            }
            known.extend(names.into_iter().map(|name| (name.clone(), None)));
            for listed in listed {
                if let Some(stat) = known.get_mut(&listed.name) {
                    *stat = Some(listed.stat);
                }
            }
        }
        Ok(known)
    }
}

/// A thread of its own is worth it for so many stats, and so many threads for the most.
const STATS_FOR_A_THREAD: usize = 400;
const MOST_THREADS: usize = 8;

fn stat_in_folder(
    folder: &LocalFolder,
    store: &StoreName,
    names: &[String],
) -> Result<Vec<Option<Stat>>> {
    let stat_all = |names: &[String]| -> Result<Vec<Option<Stat>>> {
        let stat = |name: &String| {
            folder
                .stat(name)
                .map_err(|error| store.disk(Access::Read, name, &error))
        };
        names.iter().map(stat).collect()
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS)
        .min(names.len() / STATS_FOR_A_THREAD);
    if threads < 2 {
        return stat_all(names);
    }
    let (own, others) = names.split_at(names.len() / threads);
    let shares = others.chunks(others.len().div_ceil(threads - 1));
    std::thread::scope(|scope| {
        let others: Vec<_> = shares
            .map(|share| scope.spawn(|| stat_all(share)))
            .collect();
        let mut stats = stat_all(own)?;
        stats.reserve(names.len() - own.len());
        for thread in others {
            // A thread only ends early by a panic, which is passed on.
            stats.extend(
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            );
        }
        Ok(stats)
    })
}
