//! A hub that does as little as a hub can: TLS, any CONNECT accepted, every message acknowledged at once and
//! forgotten. One thread; made so that the client and not the hub is what a measurement sees.

mod answers;
mod certificate;

use std::future::Future as _;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use clap::ValueEnum;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::Failure;
use answers::Answers;
use certificate::Certificate;

/// The TLS version that the sink accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsVersion {
    #[value(name = "1.2")]
    V12,
    #[value(name = "1.3")]
    V13,
}

/// A running sink on a free port of 127.0.0.1. Dropping it ends its connections and its thread.
#[derive(Debug)]
pub struct Sink {
    port: u16,
    certificate: Certificate,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts the sink's thread, which inherits the CPU affinity of the caller.
    ///
    /// # Errors
    /// No port, no temporary folder for the authority's file, or no thread.
    pub fn start(version: TlsVersion) -> Result<Self, Failure> {
        let certificate = Certificate::make()?;
        let acceptor = TlsAcceptor::from(Arc::new(certificate.server_config(version)?));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("sink".into()).spawn(move || {
            runtime.block_on(async {
                tokio::spawn(accept(listener, acceptor));
                // An error means that the sink was dropped, which is the other way to stop.
                let _ = stopped.await;
            });
        })?;
        Ok(Self { port, certificate, stop: Some(stop), thread: Some(thread) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// PEM file of the authority that signed the certificate for `localhost` and 127.0.0.1; gone when the sink is.
    pub fn ca(&self) -> &Path {
        self.certificate.ca()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, acceptor).await
                && !is_a_departure(&error)
            {
                eprintln!("sink: {error}");
            }
        });
    }
}

// A contender that has its acknowledgements may leave in any way.
fn is_a_departure(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

const READ_BUFFER: usize = 128 * 1024;
// A client that writes without a pause gets its acknowledgements in portions.
const MOST_REPLIES: usize = 16 * 1024;

async fn serve(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // rustls reads 4 KiB at a time; with a buffer beneath it, that is not a system call each.
    let mut stream = acceptor.accept(BufReader::with_capacity(READ_BUFFER, stream)).await?;
    let mut answers = Answers::default();
    let mut replies = Vec::with_capacity(MOST_REPLIES);
    let mut buffer = vec![0; READ_BUFFER];
    let mut filled = 0;
    loop {
        let mut read = stream.read(&mut buffer[filled..]).await?;
        while read > 0 {
            filled += read;
            let taken = answers.take(&buffer[..filled], &mut replies)?;
            buffer.copy_within(taken..filled, 0);
            filled -= taken;
            if replies.len() >= MOST_REPLIES {
                break;
            }
            // Whatever is here already is answered in the same write.
            let mut more = pin!(stream.read(&mut buffer[filled..]));
            match more.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => read = result?,
                Poll::Pending => break,
            }
        }
        if !replies.is_empty() {
            stream.write_all(&replies).await?;
            stream.flush().await?;
            replies.clear();
        }
        if read == 0 || answers.ended() {
            return stream.shutdown().await;
        }
    }
}
