//! One HTTP/1.1 request to a service on this machine, and its answer. Blocks, within a deadline.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Of the head of an answer.
const MOST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
/// Of the body of an answer, and of what its chunks are wrapped in.
const MOST_BODY: usize = 1 << 20;

/// Where the service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(authority) => write!(f, "http://{authority}"),
        }
    }
}

/// A stream that gives up at a moment, not after a silence.
struct Until<S> {
    stream: S,
    deadline: Instant,
}

trait Timed: Read + Write {
    fn set_timeout(&self, left: Duration) -> io::Result<()>;
}

impl Timed for UnixStream {
    fn set_timeout(&self, left: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(left)).and_then(|()| self.set_write_timeout(Some(left)))
    }
}

impl Timed for TcpStream {
    fn set_timeout(&self, left: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(left)).and_then(|()| self.set_write_timeout(Some(left)))
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The socket says "would block" where a time has passed.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl<S: Timed> Read for Until<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_timeout(left(self.deadline)?)?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl<S: Timed> Write for Until<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_timeout(left(self.deadline)?)?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks for `path`, with `json` in a POST, else by GET. The status and the body of the answer.
pub(crate) fn ask(
    address: &Address,
    path: &str,
    json: Option<&str>,
    deadline: Instant,
) -> io::Result<(u16, Vec<u8>)> {
    let host = match address {
        Address::Unix(_) => "localhost",
        Address::Tcp(authority) => authority,
    };
    let mut request = format!(
        "{} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nConnection: close\r\n",
        if json.is_some() { "POST" } else { "GET" },
    );
    if let Some(json) = json {
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", json.len());
    }
    request += "\r\n";
    request += json.unwrap_or_default();
    match address {
        // Connecting to a service of this machine waits only where its backlog is full.
        Address::Unix(path) => exchange(UnixStream::connect(path)?, &request, deadline),
        Address::Tcp(authority) => exchange(connect(authority, deadline)?, &request, deadline),
    }
}

fn connect(authority: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn exchange(stream: impl Timed, request: &str, deadline: Instant) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = Until { stream, deadline };
    // A service that refuses early may answer and close before it has read everything.
    let sent = stream.write_all(request.as_bytes());
    match answer(&mut stream) {
        Err(error) => Err(sent.err().unwrap_or(error)),
        answer => answer,
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

enum Length {
    Known(usize),
    Chunked,
    /// To the end of the connection.
    Open,
}

fn answer(stream: &mut impl Read) -> io::Result<(u16, Vec<u8>)> {
    let mut bytes = Vec::new();
    let (status, length) = loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        match head.parse(&bytes) {
            Ok(httparse::Status::Complete(size)) => {
                let status = head.code.unwrap_or_default();
                let length = length(status, head.headers)?;
                bytes.drain(..size);
                // An interim answer, as to "Expect", comes before the real one.
                if status >= 200 {
                    break (status, length);
                }
            }
            Ok(httparse::Status::Partial) if bytes.len() < MOST_HEAD => more(stream, &mut bytes)?,
            Ok(httparse::Status::Partial) => return Err(broken("the head of the answer is too long")),
            Err(_) => return Err(broken("the answer is not HTTP")),
        }
    };
    let body = match length {
        Length::Known(size) => {
            while bytes.len() < size {
                more(stream, &mut bytes)?;
            }
            bytes.truncate(size);
            bytes
        }
        Length::Open => loop {
            match more(stream, &mut bytes) {
                Ok(()) if bytes.len() <= MOST_BODY => {}
                Ok(()) => return Err(too_long()),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break bytes,
                Err(error) => return Err(error),
            }
        },
        Length::Chunked => loop {
            match unchunked(&bytes)? {
                Some(body) => break body,
                None if bytes.len() <= MOST_BODY => more(stream, &mut bytes)?,
                None => return Err(too_long()),
            }
        },
    };
    Ok((status, body))
}

fn too_long() -> io::Error {
    broken("the body of the answer is too long")
}

fn length(status: u16, headers: &[httparse::Header<'_>]) -> io::Result<Length> {
    let value = |name: &str| {
        let found = headers.iter().rfind(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(String::from_utf8_lossy(found.value).trim().to_ascii_lowercase())
    };
    if status < 200 || status == 204 || status == 304 {
        return Ok(Length::Known(0));
    }
    if let Some(coding) = value("transfer-encoding") {
        return if coding == "chunked" { Ok(Length::Chunked) } else { Err(broken("an unknown coding")) };
    }
    match value("content-length") {
        Some(text) => match text.parse() {
            Ok(size) if size <= MOST_BODY => Ok(Length::Known(size)),
            Ok(_) => Err(too_long()),
            Err(_) => Err(broken("the length of the answer is no number")),
        },
        None => Ok(Length::Open),
    }
}

/// The body, once its last chunk is there; trailers count for nothing.
fn unchunked(mut bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(broken("a chunk of the answer is malformed")),
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let size = usize::try_from(size).ok().filter(|size| *size <= MOST_BODY).ok_or_else(too_long)?;
        let Some(chunk) = bytes.get(start..start + size + 2) else { return Ok(None) };
        let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
            return Err(broken("a chunk of the answer is malformed"));
        };
        body.extend_from_slice(chunk);
        bytes = &bytes[start + size + 2..];
    }
}

fn more(stream: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(size) => {
                bytes.extend_from_slice(&piece[..size]);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Gives its bytes in pieces of this size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(self.0.len()).min(buffer.len());
            let (piece, rest) = self.0.split_at(size);
            buffer[..size].copy_from_slice(piece);
            self.0 = rest;
            Ok(size)
        }
    }

    fn read(text: &str, size: usize) -> Result<(u16, String), String> {
        match answer(&mut Pieces(text.as_bytes(), size)) {
            Ok((status, body)) => Ok((status, String::from_utf8(body).unwrap())),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn answers_in_pieces_of_any_size() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcX", 200, "abc"),
            ("HTTP/1.1 200 OK\r\nCONTENT-LENGTH:  0 \r\n\r\n", 200, ""),
            ("HTTP/1.1 404 Not Found\r\n\r\nto the end", 404, "to the end"),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 201 Created\r\nContent-Length: 1\r\n\r\nx", 201, "x"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n1;e=1\r\nd\r\n0\r\nT: 1\r\n\r\n",
                200,
                "abcd",
            ),
        ] {
            for size in [1, 2, 3, 7, 4096] {
                assert_eq!(read(text, size), Ok((status, body.to_owned())), "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn broken_and_endless_answers() {
        let endless = |head: &str, body: &str| format!("{head}{}", body.repeat((2 << 20) / body.len()));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (text, part) in [
            (String::new(), "end of file"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab".into(), "end of file"),
            ("SSH-2.0-OpenSSH\r\n".into(), "not HTTP"),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".into(), "no number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n".into(), "too long"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n".into(), "unknown coding"),
            (format!("{chunked}zz\r\n"), "malformed"),
            (format!("{chunked}1\r\nabc"), "malformed"),
            (format!("{chunked}ffffffff\r\n"), "too long"),
            (format!("{chunked}1\r\na\r\n"), "end of file"),
            (endless("HTTP/1.1 200 OK\r\n\r\n", "x"), "too long"),
            (endless(chunked, "1\r\na\r\n"), "too long"),
            (endless("HTTP/1.1 200 OK\r\nA: ", "x"), "too long"),
        ] {
            let error = read(&text, 4096).unwrap_err();
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}
