//! rumqttc as its documentation shows it: `AsyncClient` and `EventLoop` on a current-thread runtime.
//! Its own in-flight limit is the window, its request channel is as long; the caller counts PUBACKs, since it does
//! not say which message one belongs to.

use bytes::Bytes;
use iothub_bench::Failure;
use iothub_bench::client::{DEVICE, TOPIC, Task};
use iothub_bench::measure::{Measurement, Section};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, TlsConfiguration, Transport};

pub(crate) fn run(task: &Task) -> Result<Measurement, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(publish(task))
}

async fn publish(task: &Task) -> Result<Measurement, Failure> {
    let (client, mut events) = connect(task).await?;
    let (count, payload) = (task.count, Bytes::from(task.payload()));

    let section = Section::start();
    let publisher = tokio::spawn(async move {
        for _ in 0..count {
            client.publish_bytes(TOPIC, QoS::AtLeastOnce, false, payload.clone()).await?;
        }
        // The last sender ends the event loop, so it has to outlive the acknowledgements.
        Ok::<_, rumqttc::ClientError>(client)
    });
    let mut acknowledged = 0;
    while acknowledged < count {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await? {
            acknowledged += 1;
        }
    }
    let measurement = section.finish(count);

    publisher.await??.disconnect().await?;
    // The error is the end of the connection, which was asked for.
    while events.poll().await.is_ok() {}
    Ok(measurement)
}

async fn connect(task: &Task) -> Result<(AsyncClient, EventLoop), Failure> {
    let mut options = MqttOptions::new(DEVICE, task.host.clone(), task.port);
    let tls = TlsConfiguration::Rustls(std::sync::Arc::new(task.tls()?));
    options.set_transport(Transport::tls_with_config(tls));
    options.set_inflight(task.window);
    let (client, mut events) = AsyncClient::new(options, usize::from(task.window));
    while !matches!(events.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
    Ok((client, events))
}
