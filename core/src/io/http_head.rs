//! The head of an HTTP/1.1 answer: a proxy's to CONNECT, a server's to the upgrade to WebSocket.

use httparse::{EMPTY_HEADER, Status};

/// A longer head is refused.
pub(super) const MOST: usize = 16 * 1024;
const MOST_FIELDS: usize = 64;
/// What a text repeats of the reason: it is the peer's, and as long as it likes.
const MOST_REASON: usize = 80;

pub(super) struct Head {
    pub status: u16,
    pub reason: String,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    /// Bytes up to and with the empty line.
    pub length: usize,
}

impl Head {
    /// `None` where more has to come.
    ///
    /// # Errors
    /// Why this is no head of an answer.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        const TOO_LONG: &str = "an HTTP answer whose head is longer than 16 KiB";
        let mut fields = [EMPTY_HEADER; MOST_FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        match answer.parse(bytes) {
            Ok(Status::Complete(length)) if length <= MOST => Ok(Some(Self {
                status: answer.code.unwrap_or_default(),
                reason: answer.reason.unwrap_or_default().chars().take(MOST_REASON).collect(),
                fields: answer
                    .headers
                    .iter()
                    .map(|field| {
                        let value = String::from_utf8_lossy(field.value).trim().to_owned();
                        (field.name.to_ascii_lowercase(), value)
                    })
                    .collect(),
                length,
            })),
            Ok(Status::Partial) if bytes.len() < MOST => Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(TOO_LONG),
            Err(_) => Err("something that is no HTTP answer"),
        }
    }

    /// Every value of the field `name`, which is in lower case.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.0 == name).map(|field| field.1.as_str())
    }

    /// Whether one of the comma-separated values of `name` is `token`, in any case.
    pub(super) fn has(&self, name: &str, token: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
    }

    /// `502 Bad Gateway`
    pub(super) fn answer(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_head_ends_at_the_empty_line() {
        let text = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\nrest";
        for end in 0..text.len() - 4 {
            assert!(Head::parse(&text[..end]).unwrap().is_none(), "{end}");
        }
        let head = Head::parse(text).unwrap().unwrap();
        assert_eq!((head.status, head.length), (101, text.len() - 4));
        assert!(head.has("connection", "upgrade") && head.has("upgrade", "WebSocket"));
        assert!(!head.has("upgrade", "web") && !head.has("server", "x"));
        assert_eq!(head.answer(), "101 Switching Protocols");
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_FIELDS + 1));
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(MOST));
        let complete = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(MOST));
        for (bytes, part) in [
            (b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), "no HTTP answer"),
            (b"\x15\x03\x03\x00\x02\x02\x28".to_vec(), "no HTTP answer"),
            (b"HTTP/1.1 2x0 OK\r\n\r\n".to_vec(), "no HTTP answer"),
            (b"\r\n".repeat(MOST / 2), "16 KiB"),
            (many.into_bytes(), "16 KiB"),
            (long.into_bytes(), "16 KiB"),
            (complete.into_bytes(), "16 KiB"),
        ] {
            let text = Head::parse(&bytes).err().unwrap();
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_reason_is_cut() {
        let text = format!("HTTP/1.1 502 {}\r\n\r\n", "x".repeat(1000));
        assert_eq!(Head::parse(text.as_bytes()).unwrap().unwrap().reason.len(), MOST_REASON);
    }
}
