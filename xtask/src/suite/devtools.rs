//! A headless Chromium and the DevTools protocol over two pipes: JSON messages that end in a zero.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::TaskError;

/// The browser answers within moments; one that does not hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends with its value.
pub struct Browser {
    child: Child,
    requests: ChildStdin,
    messages: Receiver<Value>,
    /// Events that came while an answer was waited for.
    events: VecDeque<Value>,
    session: Option<String>,
    last_id: u64,
}

impl Browser {
    /// Starts it with an empty profile in `folder`, and one page.
    pub fn start(program: &str, folder: &Path) -> Result<Browser, TaskError> {
        let failed = |source| TaskError::NotStarted {
            program: program.to_owned(),
            source,
        };
        // The protocol is spoken on the descriptors 3 and 4, which only a shell hands over.
        let script = "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null";
        let profile = format!("--user-data-dir={}", folder.display());
        let mut child = Command::new("sh")
            .args(["-c", script, program])
            .args([
                "--headless",
                "--remote-debugging-pipe",
                // In a container, as root, Chromium cannot make its sandbox.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                &profile,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(TaskError::Other(format!("{program} has no pipes")));
        };
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut answers = BufReader::new(answers);
            let mut message = Vec::new();
            while matches!(answers.read_until(0, &mut message), Ok(length) if length > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else {
                    break;
                };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Browser {
            child,
            requests,
            messages,
            events: VecDeque::new(),
            session: None,
            last_id: 0,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attached = browser.call(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        )?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        Ok(browser)
    }

    /// Calls a method of the page and waits for what it gives.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, TaskError> {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let mut bytes = request.to_string().into_bytes();
        bytes.push(0);
        self.requests
            .write_all(&bytes)
            .map_err(TaskError::io("the browser's pipe"))?;
        loop {
            let mut message = self.receive(method)?;
            if message["id"] != json!(id) {
                self.events.push_back(message);
                continue;
            }
            if !message["error"].is_null() {
                return Err(TaskError::Other(format!("{method}: {}", message["error"])));
            }
            return Ok(message["result"].take());
        }
    }

    /// Waits for an event of the page; one that came before counts.
    pub fn wait_for(&mut self, event: &str) -> Result<(), TaskError> {
        while !self.events.iter().any(|known| known["method"] == event) {
            let message = self.receive(event)?;
            self.events.push_back(message);
        }
        Ok(())
    }

    /// What happened since it was last asked.
    pub fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events).into()
    }

    fn receive(&self, waiting_for: &str) -> Result<Value, TaskError> {
        self.messages
            .recv_timeout(PATIENCE)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => {
                    TaskError::Other(format!("the browser did not answer: {waiting_for}"))
                }
                RecvTimeoutError::Disconnected => {
                    TaskError::Other(format!("the browser ended: {waiting_for}"))
                }
            })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
