//! A stand-in of the workload API of IoT Edge on a real socket: it signs for one module and gives a trust bundle.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub_mqtt::hub::SharedAccessKey;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How the daemon answers from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Helpful,
    /// In two chunks.
    Chunked,
    Refusing,
    /// It takes the request and says nothing.
    Silent,
    /// A digest of the wrong length.
    Confused,
}

/// One request: the line without its version, and the body.
pub type Request = (String, Value);

#[derive(Debug)]
pub struct Workload {
    folder: TempDir,
    mood: Arc<Mutex<Mood>>,
    http: Option<String>,
    pub requests: Receiver<Request>,
}

struct Daemon {
    key: SharedAccessKey,
    bundle: String,
    mood: Arc<Mutex<Mood>>,
    requests: mpsc::Sender<Request>,
}

impl Workload {
    /// Signs with the key in this connection string of a module.
    pub fn start(connection_string: &str, bundle: &str) -> Self {
        let mut this = Self::absent();
        this.appear(connection_string, bundle);
        this
    }

    /// Nothing listens yet.
    pub fn absent() -> Self {
        let (_, requests) = mpsc::channel();
        let mood = Arc::new(Mutex::new(Mood::Helpful));
        Self { folder: TempDir::new().unwrap(), mood, http: None, requests }
    }

    pub fn appear(&mut self, connection_string: &str, bundle: &str) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let daemon = self.daemon(connection_string, bundle);
        thread::spawn(move || {
            listener.incoming().map_while(Result::ok).for_each(|link| daemon.clone().serve(link))
        });
    }

    /// Listens on TCP as well, as for development.
    pub fn with_http(mut self, connection_string: &str, bundle: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        self.http = Some(format!("http://{}", listener.local_addr().unwrap()));
        let daemon = self.daemon(connection_string, bundle);
        thread::spawn(move || {
            listener.incoming().map_while(Result::ok).for_each(|link| daemon.clone().serve(link))
        });
        self
    }

    fn daemon(&mut self, connection_string: &str, bundle: &str) -> Arc<Daemon> {
        let key = connection_string.split_once("SharedAccessKey=").unwrap().1;
        let (sender, requests) = mpsc::channel();
        self.requests = requests;
        Arc::new(Daemon {
            key: SharedAccessKey::from_base64(key).unwrap(),
            bundle: bundle.to_owned(),
            mood: Arc::clone(&self.mood),
            requests: sender,
        })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("workload.sock")
    }

    /// What the module finds as `IOTEDGE_WORKLOADURI`.
    pub fn uri(&self) -> String {
        self.http.clone().unwrap_or_else(|| format!("unix://{}", self.socket().display()))
    }

    pub fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

impl Daemon {
    fn serve(self: Arc<Self>, link: impl Read + Write + Send + 'static) {
        // A request that is answered by silence does not keep others waiting.
        thread::spawn(move || self.answer(link));
    }

    fn answer(&self, link: impl Read + Write) {
        let mut link = BufReader::new(link);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if link.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let Some(first) = head.first() else { return };
        let line = first.strip_suffix(" HTTP/1.1").unwrap().to_owned();
        let length = head.iter().find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        link.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mood = *self.mood.lock().unwrap();
        let (status, answer) = match mood {
            Mood::Refusing => ("404 Not Found", json!({ "message": "Module not found" })),
            _ if line.starts_with("GET /trust-bundle?") => ("200 OK", json!({ "certificate": self.bundle })),
            _ => {
                let data = STANDARD.decode(body["data"].as_str().unwrap_or_default()).unwrap();
                let digest = self.key.sign(&data);
                let digest = if mood == Mood::Confused { &digest[1..] } else { &digest[..] };
                ("200 OK", json!({ "digest": STANDARD.encode(digest) }))
            }
        };
        self.requests.send((line, body)).unwrap_or_default();
        let link = link.get_mut();
        let answer = answer.to_string();
        let sent = match mood {
            Mood::Silent => {
                // Until the module gives up.
                let _ = link.read(&mut [0]);
                Ok(())
            }
            Mood::Chunked => {
                let (a, b) = answer.split_at(answer.len() / 2);
                write!(
                    link,
                    "HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{a}\r\n{:x}\r\n{b}\r\n0\r\n\r\n",
                    a.len(),
                    b.len()
                )
            }
            _ => write!(link, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()),
        };
        // Who asked may be gone.
        drop(sent);
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        // Whoever waits in the socket's backlog gives up; the thread that accepts ends with the process.
        drop(UnixStream::connect(self.socket()));
    }
}
