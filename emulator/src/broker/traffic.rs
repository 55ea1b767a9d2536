//! Bytes between a socket and its connection, with no buffer while nothing moves.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a TLS record holds at most.
pub(crate) const READ_AHEAD: usize = 16 * 1024;
/// What a drained buffer may keep: a few acknowledgements.
const KEPT: usize = 256;

/// A byte stream with what was read and not parsed, and what was not written yet.
pub(crate) struct Stream<S> {
    pub(crate) io: S,
    pub(crate) input: BytesMut,
    pub(crate) output: BytesMut,
    /// Written bytes may still be in the TLS layer.
    unflushed: bool,
}

/// Something has moved.
#[derive(Debug)]
pub(super) enum Moved {
    /// All of the output is on its way.
    Out(io::Result<()>),
    /// Bytes came; none at the end of the stream.
    In(io::Result<usize>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    pub(super) fn new(io: S) -> Self {
        Self { io, input: BytesMut::new(), output: BytesMut::new(), unflushed: false }
    }

    /// Reads some bytes behind the input, `limit` at most.
    pub(crate) async fn read(&mut self, limit: usize) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, limit)).await
    }

    /// Writes all of the output.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Writes all of the output, if `writing`, or reads, if `limit` allows. Nothing is lost when this is dropped.
    pub(super) async fn traffic(&mut self, writing: bool, limit: Option<usize>) -> Moved {
        poll_fn(|cx| {
            if writing
                && (self.unflushed || !self.output.is_empty())
                && let Poll::Ready(written) = self.poll_flush(cx)
            {
                return Poll::Ready(Moved::Out(written));
            }
            match limit {
                Some(limit) => self.poll_read(cx, limit).map(Moved::In),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// On the stack first: thousands of idle connections would each hold a buffer otherwise.
    fn poll_read(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<io::Result<usize>> {
        let mut chunk = [MaybeUninit::uninit(); READ_AHEAD];
        let mut read = ReadBuf::uninit(&mut chunk[..limit.min(READ_AHEAD)]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        let read = read.filled();
        if self.input.is_empty() {
            self.input = BytesMut::from(read);
        } else {
            self.input.extend_from_slice(read);
        }
        Poll::Ready(Ok(read.len()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.output))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.output.advance(count);
        }
        if self.output.capacity() > KEPT {
            self.output = BytesMut::new();
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Forgets the room that read packets took.
    pub(super) fn tidy(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }
}
