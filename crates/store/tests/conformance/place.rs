//! A store of each kind, and the files that its objects are on this disk.

use std::fs;
use std::path::{Path, PathBuf};

use supermoe_store::{
    Artifact, ArtifactKind, Durability, Environment, HitState, RESULT_VERSION, RunId, StageKey,
    StageResult, Store, StoreUrl,
};

use crate::s3_server;

/// A store and the folder that all of a test is in.
pub struct Place {
    pub kind: &'static str,
    pub store: Store,
    pub url: StoreUrl,
    pub environment: Environment,
    folder: tempfile::TempDir,
    objects: PathBuf,
}

impl Place {
    /// One of each kind, all empty.
    pub async fn all() -> Vec<Place> {
        vec![Place::local().await, Place::s3().await]
    }

    pub async fn local() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // A name that needs care in URLs.
        let objects = folder.path().join("the störe #1");
        let url = StoreUrl::parse("the störe #1", folder.path()).expect("a valid address");
        Place::open("local", folder, objects, url, Environment::default()).await
    }

    pub async fn s3() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let endpoint = s3_server::serve(&folder.path().join("s3")).await;
        let objects = folder
            .path()
            .join("s3")
            .join(supermoe_s3_test_server::BUCKET)
            .join("team/store");
        let url =
            StoreUrl::parse("s3://bucket/team/store", folder.path()).expect("a valid address");
        Place::open(
            "s3",
            folder,
            objects,
            url,
            s3_server::environment(&endpoint),
        )
        .await
    }

    async fn open(
        kind: &'static str,
        folder: tempfile::TempDir,
        objects: PathBuf,
        url: StoreUrl,
        environment: Environment,
    ) -> Place {
        let local = folder.path().join("local");
        let store = Store::open_in(&url, &local, &environment)
            .await
            .expect("opens");
        Place {
            kind,
            store,
            url,
            environment,
            folder,
            objects,
        }
    }

    /// A path in the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same store as another machine sees it, without cache or index.
    pub async fn elsewhere(&self) -> Store {
        let local = tempfile::tempdir_in(self.folder.path())
            .expect("a temporary folder")
            .keep();
        Store::open_in(&self.url, &local, &self.environment)
            .await
            .expect("opens")
    }

    /// The same store as the next process on this machine sees it.
    pub async fn next_process(&self) -> Store {
        self.store.flush_index().await;
        Store::open_in(&self.url, &self.path("local"), &self.environment)
            .await
            .expect("opens")
    }

    /// Writes files under a folder of the test.
    pub fn folder(&self, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let folder = self.path(name);
        for (path, content) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("makes folders");
            fs::write(path, content).expect("writes");
        }
        folder
    }

    /// The names of all objects whose names begin with `prefix`, without what the server keeps
    /// for itself.
    pub fn objects(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = walkdir::WalkDir::new(&self.objects)
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file())
            .filter_map(|entry| {
                Some(
                    entry
                        .path()
                        .strip_prefix(&self.objects)
                        .ok()?
                        .to_str()?
                        .to_owned(),
                )
            })
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort();
        names
    }

    /// The one object whose name begins with `prefix`.
    pub fn object(&self, prefix: &str) -> PathBuf {
        let names = self.objects(prefix);
        assert_eq!(names.len(), 1, "{names:?} under {prefix} of {}", self.kind);
        self.objects.join(&names[0])
    }

    pub fn write_object(&self, name: &str, content: &[u8]) {
        fs::write(self.objects.join(name), content).expect("writes");
    }

    pub fn remove_object(&self, prefix: &str) {
        fs::remove_file(self.object(prefix)).expect("removes");
    }

    /// Flips a bit in the middle of an object.
    pub fn damage_object(&self, prefix: &str) {
        let path = self.object(prefix);
        let mut bytes = fs::read(&path).expect("reads");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).expect("writes");
    }

    /// Stores a folder with a small and a large file, and a result that points to it.
    pub async fn stage(&self, name: &str) -> (StageKey, Artifact) {
        let artifact = self.artifact(name).await;
        let key = self.result(name, artifact).await;
        (key, artifact)
    }

    pub async fn artifact(&self, name: &str) -> Artifact {
        let large = vec![name.len() as u8; 100_000];
        let folder = self.folder(
            name,
            &[
                ("small.txt", name.as_bytes()),
                ("sub/large.bin", &[large, name.into()].concat()),
            ],
        );
        self.store
            .put(&folder, ArtifactKind::Folder)
            .await
            .expect("stores")
    }

    pub async fn result(&self, name: &str, artifact: Artifact) -> StageKey {
        let result = result_of(name, artifact);
        self.store
            .put_result(&result, Durability::Sync)
            .await
            .expect("stores");
        result.key
    }

    pub async fn check(&self, key: StageKey) -> HitState {
        self.store
            .check_results(&[key])
            .await
            .expect("checks")
            .remove(0)
    }
}

pub fn result_of(name: &str, artifact: Artifact) -> StageResult {
    StageResult {
        version: RESULT_VERSION,
        key: StageKey::of(name.as_bytes()),
        manifest: serde_json::json!({"plugin": "shell", "name": name}).into(),
        outputs: [("out".to_owned(), artifact)].into_iter().collect(),
        metrics: [("loss".to_owned(), 0.5)].into_iter().collect(),
        seconds: 1.25,
        peak_memory_bytes: Some(1 << 20),
        run: RunId::generate(),
        instruction_set: "test".to_owned(),
    }
}

/// The files of a folder: path, content, whether it is executable.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>, bool)> {
    use std::os::unix::fs::PermissionsExt;
    let mut files: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry
                .path()
                .strip_prefix(folder)
                .expect("is inside")
                .to_str()
                .expect("is UTF-8")
                .to_owned();
            let mode = entry.metadata().expect("is there").permissions().mode();
            (
                path,
                fs::read(entry.path()).expect("reads"),
                mode & 0o100 != 0,
            )
        })
        .collect();
    files.sort();
    files
}
