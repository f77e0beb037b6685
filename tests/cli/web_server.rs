//! A web server in this process, on a port that the system chose; it ends when it is dropped.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a path answers.
#[derive(Clone)]
pub struct Page {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// What is said of the body's length; none: its length.
    announced: Option<u64>,
    /// The connection stays open after what is sent.
    stalls: bool,
}

impl Page {
    /// A file with an ETag.
    pub fn file(body: &str, etag: &str) -> Page {
        Page::plain(body).header("etag", &format!("\"{etag}\""))
    }

    /// A file that nothing is said of.
    pub fn plain(body: &str) -> Page {
        Page {
            status: "200 OK",
            headers: Vec::new(),
            body: body.to_owned(),
            announced: None,
            stalls: false,
        }
    }

    pub fn status(status: &'static str) -> Page {
        Page {
            status,
            ..Page::plain("")
        }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Page {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Does not go on after the body.
    pub fn stalling(mut self) -> Page {
        self.stalls = true;
        self
    }

    /// Says that the body has this length, whatever it has.
    pub fn announcing(mut self, bytes: u64) -> Page {
        self.announced = Some(bytes);
        self
    }
}

#[derive(Default)]
struct Shared {
    pages: Mutex<HashMap<String, Page>>,
    /// `GET /path` of each request, in order.
    asked: Mutex<Vec<String>>,
    stalled: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

pub struct WebServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl WebServer {
    pub fn start() -> WebServer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if own.is_over.load(Ordering::Relaxed) {
                    return;
                }
                // A client that hangs up is no failure of the test.
                let _ = socket.and_then(|socket| answer(&own, socket));
            }
        });
        WebServer {
            address,
            shared,
            thread: Some(thread),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn put(&self, path: &str, page: Page) {
        let mut pages = self.shared.pages.lock().expect("not poisoned");
        pages.insert(path.to_owned(), page);
    }

    /// The requests since the last time, in order.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.asked.lock().expect("not poisoned"))
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread up.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(shared: &Shared, mut socket: TcpStream) -> std::io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(socket.try_clone()?);
    while reader.read_line(&mut request)? > 2 {}
    let mut words = request.split_whitespace();
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    shared
        .asked
        .lock()
        .expect("not poisoned")
        .push(format!("{method} {path}"));
    let page = shared
        .pages
        .lock()
        .expect("not poisoned")
        .get(path)
        .cloned();
    let page = page.unwrap_or_else(|| Page::status("404 Not Found"));
    let length = page.announced.unwrap_or(page.body.len() as u64);
    let mut text = format!("HTTP/1.1 {}\r\ncontent-length: {length}\r\n", page.status);
    for (name, value) in &page.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("connection: close\r\n\r\n");
    if method == "GET" {
        text.push_str(&page.body);
    }
    socket.write_all(text.as_bytes())?;
    if page.stalls && method == "GET" {
        shared.stalled.lock().expect("not poisoned").push(socket);
    }
    Ok(())
}
