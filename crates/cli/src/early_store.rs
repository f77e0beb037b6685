//! The store that a workflow probably has, opened and looked into while the file is still being
//! checked.

use std::thread::{self, JoinHandle};

use supermoe_store::{Store, StoreUrl};
use supermoe_workflow::Head;
use tokio::runtime::Builder;

use crate::failure::Failure;
use crate::project::Project;

/// A store in a folder, on its way. Of a bucket nothing is begun: its connections belong to the
/// runtime that opens them.
#[derive(Default)]
pub struct EarlyStore {
    begun: Option<(StoreUrl, JoinHandle<Option<Store>>)>,
}

impl EarlyStore {
    /// Begins on a thread of its own, if the text's head can be told at a glance. What goes wrong
    /// there is found again, and told, later.
    pub fn begin(project: &Project, text: &str) -> EarlyStore {
        let mut early = EarlyStore::default();
        let Some(head) = Head::glance(text) else {
            return early;
        };
        let Ok(url @ StoreUrl::Folder(_)) = project.store_url(head.store) else {
            return early;
        };
        let (project, name, store) = (project.clone(), head.name.to_owned(), url.clone());
        let opened = thread::Builder::new().spawn(move || {
            let runtime = Builder::new_current_thread().enable_time().build().ok()?;
            let store = runtime.block_on(project.open(&store)).ok()?;
            supermoe_engine::read_ahead(&name, &store);
            Some(store)
        });
        early.begun = opened.ok().map(|opened| (url, opened));
        early
    }

    /// The store that `url` names.
    pub async fn open(self, project: &Project, url: &StoreUrl) -> Result<Store, Failure> {
        match self.begun {
            Some((begun, opened)) if begun == *url => match opened.join() {
                Ok(Some(store)) => Ok(store),
                _ => project.open(url).await,
            },
            _ => project.open(url).await,
        }
    }
}
