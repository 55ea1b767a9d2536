//! The listening sockets, and the thread that serves them.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::broker::Broker;
use crate::broker::connection::{self, Peer};
use crate::certs::Store;
use crate::chain::Shown;
use crate::error::StartError;
use crate::events::Event;
use crate::https;
use crate::tls;

pub(crate) struct Servers {
    mqtt: StdListener,
    https: StdListener,
    mqtt_tls: TlsAcceptor,
    https_tls: TlsAcceptor,
    broker: Arc<Broker>,
}

impl Servers {
    pub(crate) fn new(
        mqtt: StdListener,
        https: StdListener,
        store: &Store,
        broker: Arc<Broker>,
    ) -> Result<Self, StartError> {
        let versions = broker.settings.tls;
        Ok(Self {
            mqtt,
            https,
            mqtt_tls: tls::server_config(store, &[], versions)?.into(),
            https_tls: tls::server_config(store, &[b"http/1.1"], versions)?.into(),
            broker,
        })
    }

    /// Serves until `stopped` fires or its sender is dropped.
    pub(crate) fn run_on_a_thread(
        self,
        stopped: oneshot::Receiver<()>,
    ) -> Result<(JoinHandle<()>, Handle), StartError> {
        let failed = |what: &str, e: std::io::Error| StartError::new(format!("{what}: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| failed("the runtime", e))?;
        let (mqtt, https) = {
            let _entered = runtime.enter();
            let adopt = |listener| TcpListener::from_std(listener).map_err(|e| failed("a listener", e));
            (adopt(self.mqtt)?, adopt(self.https)?)
        };
        let handle = runtime.handle().clone();
        let broker = self.broker;
        let deadline = broker.settings.connect_deadline;
        let for_https = broker.clone();
        std::thread::Builder::new()
            .name("iothub-emulator".into())
            .spawn(move || {
                runtime.block_on(async {
                    let serve_mqtt = accept(mqtt, move |socket| {
                        mqtt_client(socket, self.mqtt_tls.clone(), broker.clone(), deadline)
                    });
                    let router = https::router(for_https);
                    let serve_https = accept(https, move |socket| {
                        https::serve(socket, self.https_tls.clone(), router.clone(), deadline)
                    });
                    tokio::select! {
                        _ = stopped => {}
                        () = serve_mqtt => {}
                        () = serve_https => {}
                    }
                });
                // Connections are cut, not said good-bye to: this is how a hub goes away.
                runtime.shutdown_background();
            })
            .map(|thread| (thread, handle))
            .map_err(|e| failed("a thread", e))
    }
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F,
) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                // Without it only latency suffers.
                let _ = socket.set_nodelay(true);
                tokio::spawn(serve(socket));
            }
            // Out of descriptors, most likely: some may come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Serves one client of MQTT. The handshake is apart and its stream on the heap: a task is as large as
/// its largest moment, and most of them only wait.
async fn mqtt_client(socket: TcpStream, tls: TlsAcceptor, broker: Arc<Broker>, deadline: Duration) {
    if let Some(stream) = Box::pin(handshake(socket, tls, &broker, deadline)).await {
        let peer = Peer { certificate: Shown::by_peer(&stream), protocol: "mqtt", registrant: false };
        connection::serve(stream, peer, broker).await;
    }
}

/// `None` where there is nobody to serve.
async fn handshake(
    socket: TcpStream,
    tls: TlsAcceptor,
    broker: &Broker,
    deadline: Duration,
) -> Option<Box<TlsStream<TcpStream>>> {
    let refused = |reason: String| {
        broker.events.emit(None, || Event::Refused { code: "tls", reason, return_code: None });
    };
    match tokio::time::timeout(deadline, tls.accept(socket)).await {
        Ok(Ok(stream)) => return Some(Box::new(stream)),
        // Somebody looked whether the port is open.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
        Ok(Err(error)) => refused(format!("the TLS handshake failed: {error}")),
        Err(_) => refused("the TLS handshake took too long".into()),
    }
    None
}
