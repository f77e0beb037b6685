//! The local index: what was seen of results, trees and files, so that a run with nothing to do
//! need not read them again.
//!
//! It is only ever a memory: the store is the truth, and the file can be deleted at any time.
//! The file is open for as long as one batch takes: readers share it, a writer has it alone. A
//! process that finds it taken goes on without it; what it learned stays in memory until the
//! next flush. An index that is damaged or of another version is set aside and begun anew.

use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable,
    TableDefinition, TableError,
};

use crate::digest::{Digest, StageKey};
use crate::index_record::{IndexedFile, IndexedResult, IndexedTree};

/// The form of the records. Another one makes another index.
const VERSION: u64 = 1;
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// How long a batch waits for a writer of another process.
const READ_PATIENCE: Duration = Duration::from_millis(100);
const WRITE_PATIENCE: Duration = Duration::from_millis(1000);
const PAUSE: Duration = Duration::from_millis(2);
/// So much that was learned is written without waiting for the end of the run.
const MANY_PENDING: usize = 20_000;

const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const RESULTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("results");
const TREES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("trees");
const FILES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("files");
/// By the identity of a stage: the key of its newest result.
const LATEST: TableDefinition<'_, &str, &[u8; 32]> = TableDefinition::new("latest");

/// The index of one store on this machine.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    learned: Mutex<Learned>,
}

/// What is not yet written.
#[derive(Debug, Default, Clone)]
struct Learned {
    results: HashMap<StageKey, IndexedResult>,
    trees: HashMap<Digest, IndexedTree>,
    files: HashMap<PathBuf, IndexedFile>,
    latest: HashMap<String, StageKey>,
}

impl Learned {
    fn len(&self) -> usize {
        self.results.len() + self.trees.len() + self.files.len() + self.latest.len()
    }
}

impl Index {
    /// Nothing is read or made yet.
    pub(crate) fn new(path: PathBuf) -> Index {
        Index {
            path,
            learned: Mutex::default(),
        }
    }

    /// Opens the file, if it can be had, for one batch of questions. Blocks.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            index: self,
            tables: Tables::open(&self.path),
        }
    }

    pub(crate) fn learn_result(&self, result: IndexedResult) {
        self.learned().results.insert(result.result.key, result);
    }

    pub(crate) fn learn_tree(&self, digest: Digest, tree: IndexedTree) {
        self.learned().trees.insert(digest, tree);
    }

    pub(crate) fn learn_file(&self, path: PathBuf, file: IndexedFile) {
        self.learned().files.insert(path, file);
    }

    pub(crate) fn learn_latest(&self, identity: &str, key: StageKey) {
        self.learned().latest.insert(identity.to_owned(), key);
    }

    /// Whether there is anything to write.
    pub(crate) fn has_learned(&self) -> bool {
        self.learned().len() > 0
    }

    /// Whether so much was learned that it should be written now.
    pub(crate) fn is_heavy(&self) -> bool {
        self.learned().len() >= MANY_PENDING
    }

    /// Writes what was learned, in one transaction. Blocks. What could not be written is kept.
    pub(crate) fn flush(&self) {
        let learned = std::mem::take(&mut *self.learned());
        if learned.len() == 0 {
            return;
        }
        if let Err(why) = write(&self.path, &learned) {
            tracing::debug!(path = %self.path.display(), why, "the index could not be written");
            let mut kept = self.learned();
            let newer = std::mem::replace(&mut *kept, learned);
            kept.results.extend(newer.results);
            kept.trees.extend(newer.trees);
            kept.files.extend(newer.files);
            kept.latest.extend(newer.latest);
        }
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        // Its maps are whole even if a thread died with the lock.
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch of questions to the index.
pub(crate) struct Batch<'i> {
    index: &'i Index,
    tables: Option<Tables>,
}

impl Batch<'_> {
    pub(crate) fn results(&self, keys: &[StageKey]) -> Vec<Option<IndexedResult>> {
        let learned = self.index.learned();
        let result = |key: &StageKey| match learned.results.get(key) {
            Some(result) => Some(result.clone()),
            None => self.tables.as_ref()?.result(key),
        };
        keys.iter().map(result).collect()
    }

    /// The trees that are known, with their digests.
    pub(crate) fn trees<C: FromIterator<(Digest, IndexedTree)>>(
        &self,
        digests: impl Iterator<Item = Digest>,
    ) -> C {
        let learned = self.index.learned();
        let tree = |digest: Digest| match learned.trees.get(&digest) {
            Some(tree) => Some((digest, tree.clone())),
            None => Some((digest, self.tables.as_ref()?.tree(&digest)?)),
        };
        digests.filter_map(tree).collect()
    }

    pub(crate) fn file(&self, path: &Path) -> Option<IndexedFile> {
        if let Some(file) = self.index.learned().files.get(path) {
            return Some(*file);
        }
        self.tables.as_ref()?.file(path)
    }

    pub(crate) fn latest(&self, identity: &str) -> Option<IndexedResult> {
        let learned = self.index.learned().latest.get(identity).copied();
        let key = learned.or_else(|| self.tables.as_ref()?.latest(identity))?;
        self.results(&[key]).pop().flatten()
    }

    /// The newest results of all stages whose identities begin with `prefix`.
    pub(crate) fn latest_with(&self, prefix: &str) -> Vec<(String, IndexedResult)> {
        let mut keys = match &self.tables {
            Some(tables) => tables.latest_with(prefix),
            None => Vec::new(),
        };
        {
            // What was learned since is newer than what the file says.
            let newer = &self.index.learned().latest;
            keys.retain(|(identity, _)| !newer.contains_key(identity));
            let newer = newer
                .iter()
                .filter(|(identity, _)| identity.starts_with(prefix));
            keys.extend(newer.map(|(identity, key)| (identity.clone(), *key)));
        }
        let (identities, keys): (Vec<String>, Vec<StageKey>) = keys.into_iter().unzip();
        let results = self.results(&keys);
        identities
            .into_iter()
            .zip(results)
            .filter_map(|(identity, result)| Some((identity, result?)))
            .collect()
    }
}

type OpenTables = (
    redb::ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    redb::ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
    redb::ReadOnlyTable<&'static str, &'static [u8; 32]>,
);

/// The tables of an open file. A failure is the same as nothing found.
struct Tables {
    results: redb::ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    trees: redb::ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    files: redb::ReadOnlyTable<&'static [u8], &'static [u8]>,
    latest: redb::ReadOnlyTable<&'static str, &'static [u8; 32]>,
    // The tables read from it.
    _database: ReadOnlyDatabase,
}

impl Tables {
    fn open(path: &Path) -> Option<Tables> {
        if !path.exists() {
            return None;
        }
        let database = match open_to_read(path) {
            Opened::Yes(database) => database,
            Opened::Taken => return None,
            Opened::Damaged(why) => {
                set_aside(path, &why);
                return None;
            }
        };
        let tables = guarded(|| {
            let transaction = database.begin_read().map_err(|error| error.to_string())?;
            Tables::of(&transaction)
        });
        match tables {
            Ok((results, trees, files, latest)) => Some(Tables {
                results,
                trees,
                files,
                latest,
                _database: database,
            }),
            Err(why) => {
                drop(database);
                set_aside(path, &why);
                None
            }
        }
    }

    fn of(transaction: &ReadTransaction) -> Result<OpenTables, String> {
        let say = |error: TableError| error.to_string();
        let about = transaction.open_table(ABOUT).map_err(say)?;
        let version = about
            .get("version")
            .map_err(|error| error.to_string())?
            .map(|version| version.value());
        if version != Some(VERSION) {
            return Err(format!(
                "it has version {version:?}, this program knows {VERSION}"
            ));
        }
        Ok((
            transaction.open_table(RESULTS).map_err(say)?,
            transaction.open_table(TREES).map_err(say)?,
            transaction.open_table(FILES).map_err(say)?,
            transaction.open_table(LATEST).map_err(say)?,
        ))
    }

    fn result(&self, key: &StageKey) -> Option<IndexedResult> {
        let read = guarded(|| {
            self.results
                .get(key.digest().as_bytes())
                .map_err(|error| error.to_string())
        });
        let result = IndexedResult::decode(read.ok()??.value())?;
        (result.result.key == *key).then_some(result)
    }

    fn tree(&self, digest: &Digest) -> Option<IndexedTree> {
        let read = guarded(|| {
            self.trees
                .get(digest.as_bytes())
                .map_err(|error| error.to_string())
        });
        IndexedTree::decode(read.ok()??.value())
    }

    fn file(&self, path: &Path) -> Option<IndexedFile> {
        let path = path.as_os_str().as_encoded_bytes();
        let read = guarded(|| self.files.get(path).map_err(|error| error.to_string()));
        IndexedFile::decode(read.ok()??.value())
    }

    fn latest(&self, identity: &str) -> Option<StageKey> {
        let read = guarded(|| self.latest.get(identity).map_err(|error| error.to_string()));
        Some(StageKey::new(Digest::from_bytes(*read.ok()??.value())))
    }

    fn latest_with(&self, prefix: &str) -> Vec<(String, StageKey)> {
        let read = guarded(|| {
            let say = |error: redb::StorageError| error.to_string();
            let mut found = Vec::new();
            for entry in self.latest.range(prefix..).map_err(say)? {
                let (identity, key) = entry.map_err(say)?;
                if !identity.value().starts_with(prefix) {
                    break;
                }
                let key = StageKey::new(Digest::from_bytes(*key.value()));
                found.push((identity.value().to_owned(), key));
            }
            Ok(found)
        });
        read.unwrap_or_default()
    }
}

enum Opened<T> {
    Yes(T),
    /// Another process has it.
    Taken,
    Damaged(String),
}

fn open_to_read(path: &Path) -> Opened<ReadOnlyDatabase> {
    let opened = patiently(READ_PATIENCE, || builder().open_read_only(path));
    match opened {
        // A writer was killed: opening to write repairs.
        Opened::Damaged(_) => match patiently(READ_PATIENCE, || builder().open(path)) {
            Opened::Yes(database) => {
                drop(database);
                patiently(READ_PATIENCE, || builder().open_read_only(path))
            }
            Opened::Taken => Opened::Taken,
            Opened::Damaged(why) => Opened::Damaged(why),
        },
        opened => opened,
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn patiently<T>(patience: Duration, open: impl Fn() -> Result<T, DatabaseError>) -> Opened<T> {
    let start = Instant::now();
    loop {
        match guarded(|| Ok(open())) {
            Ok(Ok(database)) => return Opened::Yes(database),
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) if start.elapsed() < patience => {
                std::thread::sleep(PAUSE)
            }
            Ok(Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch)) => {
                return Opened::Taken;
            }
            Ok(Err(error)) => return Opened::Damaged(error.to_string()),
            Err(why) => return Opened::Damaged(why),
        }
    }
}

fn write(path: &Path, learned: &Learned) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let why = match try_write(path, learned) {
        Ok(()) => return Ok(()),
        Err(Failure::Passing(why)) => return Err(why),
        Err(Failure::Damaged(why)) => why,
    };
    set_aside(path, &why);
    try_write(path, learned).map_err(|failure| match failure {
        Failure::Passing(why) | Failure::Damaged(why) => why,
    })
}

enum Failure {
    /// Taken, or a full disk.
    Passing(String),
    Damaged(String),
}

fn try_write(path: &Path, learned: &Learned) -> Result<(), Failure> {
    let database = match patiently(WRITE_PATIENCE, || builder().create(path)) {
        Opened::Yes(database) => database,
        Opened::Taken => return Err(Failure::Passing("another process has it".to_owned())),
        Opened::Damaged(why) => return Err(Failure::Damaged(why)),
    };
    match guarded(|| Ok(write_learned(&database, learned))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(redb::Error::Io(error))) => Err(Failure::Passing(error.to_string())),
        Ok(Err(error)) => Err(Failure::Damaged(error.to_string())),
        Err(why) => Err(Failure::Damaged(why)),
    }
}

fn write_learned(database: &Database, learned: &Learned) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut about = transaction.open_table(ABOUT)?;
        let version = about.get("version")?.map(|version| version.value());
        match version {
            None => drop(about.insert("version", VERSION)?),
            Some(VERSION) => {}
            Some(other) => return Err(redb::Error::Corrupted(format!("it has version {other}"))),
        }
        let mut results = transaction.open_table(RESULTS)?;
        for (key, result) in &learned.results {
            results.insert(key.digest().as_bytes(), &result.encode()[..])?;
        }
        let mut trees = transaction.open_table(TREES)?;
        for (digest, tree) in &learned.trees {
            trees.insert(digest.as_bytes(), &tree.encode()[..])?;
        }
        let mut files = transaction.open_table(FILES)?;
        for (path, file) in &learned.files {
            files.insert(path.as_os_str().as_encoded_bytes(), &file.encode()[..])?;
        }
        let mut latest = transaction.open_table(LATEST)?;
        for (identity, key) in &learned.latest {
            latest.insert(identity.as_str(), key.digest().as_bytes())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Moves an index that cannot be used out of the way; the one before it goes.
fn set_aside(path: &Path, why: &str) {
    tracing::warn!(path = %path.display(), why, "the local index cannot be used; it is set aside and begun anew");
    let mut aside = path.as_os_str().to_owned();
    aside.push(".unusable");
    if fs::rename(path, &aside).is_err() {
        let _ = fs::remove_file(path);
    }
}

/// redb trusts a file that was closed well, and may panic over one that somebody damaged since.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(_) => Err("it is damaged".to_owned()),
    }
}
