//! A runner with one worker and a watcher: `runner RUN FOLDER COMMAND`. It is there to be killed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use supermoe_plugin::host::{StopSignal, Watcher, WorkerSpec, base_environment, run_worker};

pub fn main(arguments: &[String]) -> ExitCode {
    let [run, folder, command] = arguments else {
        eprintln!("expected RUN FOLDER COMMAND");
        return ExitCode::from(2);
    };
    let folder = PathBuf::from(folder);
    let own = std::env::current_exe().expect("this program has a path");
    let watcher = Watcher::start(&own, run).expect("the watcher starts");
    watcher.remove_at_end(&folder.join("work"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (events, _received) = tokio::sync::mpsc::unbounded_channel();
    let outcome = runtime.block_on(run_worker(
        spec(run, &folder, command),
        StopSignal::never(),
        events,
        &watcher,
    ));
    watcher.finish();
    println!("{:?}", outcome.exit);
    ExitCode::SUCCESS
}

fn spec(run: &str, folder: &Path, command: &str) -> WorkerSpec {
    WorkerSpec {
        program: "sh".into(),
        args: vec!["-euc".into(), command.into()],
        env: base_environment(),
        work: folder.join("work"),
        events: folder.join("events"),
        log: folder.join("log"),
        redact: Vec::new(),
        timeout: None,
        grace: Duration::from_secs(5),
        run: run.to_owned(),
    }
}
