//! The listening sockets, and the thread that serves them.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::broker::Broker;
use crate::broker::connection::{self, Peer};
use crate::certs::Store;
use crate::chain::Shown;
use crate::error::StartError;
use crate::handshake::Gate;
use crate::https;
use crate::tls;

pub(crate) struct Servers {
    mqtt: StdListener,
    https: StdListener,
    mqtt_gate: Gate,
    https_gate: Gate,
}

impl Servers {
    pub(crate) fn new(
        mqtt: StdListener,
        https: StdListener,
        store: &Store,
        broker: Arc<Broker>,
    ) -> Result<Self, StartError> {
        let versions = broker.settings.tls;
        let deadline = broker.settings.connect_deadline;
        let mqtt_gate = Gate {
            tls: tls::server_config(store, &[], versions)?.into(),
            broker,
            ca: store.ca_path.as_path().into(),
            deadline,
        };
        let https_tls = tls::server_config(store, &[b"http/1.1"], versions)?.into();
        let https_gate = Gate { tls: https_tls, ..mqtt_gate.clone() };
        Ok(Self { mqtt, https, mqtt_gate, https_gate })
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
        let Self { mqtt_gate, https_gate, .. } = self;
        let broker = mqtt_gate.broker.clone();
        std::thread::Builder::new()
            .name("iothub-emulator".into())
            .spawn(move || {
                runtime.block_on(async {
                    let serve_mqtt = accept(mqtt, move |socket| mqtt_client(socket, mqtt_gate.clone()));
                    let router = https::router(broker);
                    let serve_https =
                        accept(https, move |socket| https_client(socket, https_gate.clone(), router.clone()));
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
async fn mqtt_client(socket: TcpStream, gate: Gate) {
    if let Some(stream) = Box::pin(gate.pass(socket)).await {
        let peer = Peer { certificate: Shown::by_peer(&stream), protocol: "mqtt", registrant: false };
        connection::serve(stream, peer, gate.broker).await;
    }
}

async fn https_client(socket: TcpStream, gate: Gate, router: Router) {
    if let Some(stream) = Box::pin(gate.pass(socket)).await {
        https::serve(stream, router, gate.deadline).await;
    }
}
