//! The journal of a run: `runs/<id>/workflow.json`, `events/<number>.ndjson`, `logs/<cell>.log`
//! and, when it has ended, `outcome.json`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::digest::RunId;
use crate::error::Result;
use crate::error_mapping::{Access, local_error};
use crate::local_put::Durability;
use crate::object_name;
use crate::objects::blocking;
use crate::store::Inner;
use crate::transfer::upload;

pub(crate) const OUTCOME: &str = "outcome.json";
const DOCUMENT: &str = "workflow.json";

impl Inner {
    pub(crate) async fn put_run_document(&self, run: &RunId, document: &Value) -> Result<()> {
        self.put_json(&format!("{}/{DOCUMENT}", object_name::run(run)), document)
            .await
    }

    pub(crate) async fn put_run_text(&self, run: &RunId, text: Bytes) -> Result<()> {
        let name = format!("{}/{DOCUMENT}", object_name::run(run));
        self.objects
            .write(&name, text, Durability::NoSync)
            .await
            .map(drop)
    }

    pub(crate) async fn put_outcome(&self, run: &RunId, outcome: &Value) -> Result<()> {
        self.put_json(&format!("{}/{OUTCOME}", object_name::run(run)), outcome)
            .await
    }

    pub(crate) async fn run_document(&self, run: &RunId) -> Result<Option<Value>> {
        self.json(&format!("{}/{DOCUMENT}", object_name::run(run)))
            .await
    }

    pub(crate) async fn run_outcome(&self, run: &RunId) -> Result<Option<Value>> {
        self.json(&format!("{}/{OUTCOME}", object_name::run(run)))
            .await
    }

    pub(crate) async fn append_events(
        &self,
        run: &RunId,
        segment: u64,
        bytes: Bytes,
    ) -> Result<()> {
        let name = format!("{}/events/{segment:08}.ndjson", object_name::run(run));
        self.objects
            .write(&name, bytes, Durability::NoSync)
            .await
            .map(drop)
    }

    pub(crate) async fn run_events(&self, run: &RunId) -> Result<Vec<u8>> {
        let listed = self
            .objects
            .list(&format!("{}/events", object_name::run(run)))
            .await?;
        let mut names: Vec<String> = listed.into_iter().map(|listed| listed.name).collect();
        names.retain(|name| name.ends_with(".ndjson"));
        names.sort_unstable();
        Ok(self
            .objects
            .read_many(names)
            .await?
            .into_iter()
            .flatten()
            .fold(Vec::new(), |mut events, segment| {
                events.extend_from_slice(&segment);
                events
            }))
    }

    pub(crate) async fn list_runs(&self) -> Result<Vec<RunId>> {
        let names = self.objects.list_folders("runs").await?;
        let mut runs: Vec<RunId> = names.iter().filter_map(|name| name.parse().ok()).collect();
        runs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(runs)
    }

    pub(crate) async fn put_log(
        self: &Arc<Inner>,
        run: &RunId,
        cell: &str,
        path: &Path,
    ) -> Result<()> {
        let name = log_name(run, cell);
        if self.is_remote() {
            return upload(&self.objects, &name, path, None).await;
        }
        self.objects.ensure_format().await?;
        let (inner, path) = (Arc::clone(self), path.to_owned());
        blocking(move || {
            let mut file = File::open(&path).map_err(|error| local_error(&path, "read", error))?;
            let copied = inner
                .local
                .copy_in(&mut file, |_| name.clone(), Durability::NoSync);
            copied
                .map(drop)
                .map_err(|error| inner.objects.store().disk(Access::Write, &name, &error))
        })
        .await
    }

    pub(crate) async fn log(&self, run: &RunId, cell: &str) -> Result<Option<Bytes>> {
        self.objects.read(&log_name(run, cell)).await
    }

    pub(crate) async fn log_tail(
        &self,
        run: &RunId,
        cell: &str,
        bytes: u64,
    ) -> Result<Option<Bytes>> {
        self.objects.read_tail(&log_name(run, cell), bytes).await
    }

    async fn put_json(&self, name: &str, value: &Value) -> Result<()> {
        let mut text = value.to_string();
        text.push('\n');
        self.objects
            .write(name, text.into(), Durability::NoSync)
            .await
            .map(drop)
    }

    async fn json(&self, name: &str) -> Result<Option<Value>> {
        let Some(bytes) = self.objects.read(name).await? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&bytes);
        value.map(Some).map_err(|error| {
            self.objects
                .store()
                .damaged(name, format!("it is not JSON: {error}"))
        })
    }
}

fn log_name(run: &RunId, cell: &str) -> String {
    format!(
        "{}/logs/{}.log",
        object_name::run(run),
        object_name::part_of(cell)
    )
}
