//! The library against a broker that is not ours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use iothub_mqtt::mqtt::{Publish, QoS};
use iothub_mqtt::{MqttClient, MqttConfig};

#[tokio::test(flavor = "current_thread")]
async fn smoke() {
    let ca = std::fs::read(std::env::var("CA").unwrap()).unwrap();
    let mut config = MqttConfig::new("localhost", "smoke").unwrap();
    config.tuning.set_port(std::env::var("PORT").unwrap().parse().unwrap()).unwrap();
    config.tuning.set_trusted_roots(&ca).unwrap();
    let (client, mut driver) = MqttClient::driven(config).unwrap();
    client.on_status(Some(Box::new(|status| println!("{status:?}"))));
    let task = tokio::spawn(async move { driver.run().await });
    client.connect().unwrap().await.unwrap();
    for i in 0..10_000 {
        let payload = [b'x'; 256];
        let pending =
            client.publish(&Publish { topic: "a/b", payload: &payload, qos: QoS::AtLeastOnce, retain: false });
        pending.unwrap().await.unwrap();
        if i % 1000 == 0 {
            println!("{i}");
        }
    }
    client.close(Duration::from_secs(1)).unwrap().await.unwrap();
    task.await.unwrap();
}
