//! This library as its documentation shows it: a `DeviceClient` and its driver on a current-thread runtime, a future
//! for each message, and no more messages under way than the window.

use std::collections::VecDeque;
use std::time::Duration;

use iothub_bench::Failure;
use iothub_bench::client::{DEVICE, Task};
use iothub_bench::measure::{Measurement, Section};
use iothub_mqtt::hub::Message;
use iothub_mqtt::{Config, DeviceClient};

/// Any key will do: the sink checks nothing.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) fn run(task: &Task) -> Result<Measurement, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(publish(task))
}

async fn publish(task: &Task) -> Result<Measurement, Failure> {
    let mut config = Config::new();
    config.set_identity(&task.host, DEVICE, None)?;
    config.set_sas_key(KEY)?;
    config.tuning.set_port(task.port)?;
    config.tuning.set_trusted_roots(&std::fs::read(&task.ca)?)?;
    config.tuning.set_in_flight(task.window.into())?;
    let (client, mut driver) = DeviceClient::driven(config)?;
    let driver = tokio::spawn(async move { driver.run().await });
    client.connect()?.await?;
    let message = Message::new(task.payload());

    let section = Section::start();
    let mut under_way = VecDeque::with_capacity(task.window.into());
    for _ in 0..task.count {
        if under_way.len() == usize::from(task.window)
            && let Some(oldest) = under_way.pop_front()
        {
            let oldest: iothub_mqtt::Pending = oldest;
            oldest.await?;
        }
        under_way.push_back(client.send(&message)?);
    }
    for pending in under_way {
        pending.await?;
    }
    let measurement = section.finish(task.count);

    client.close(Duration::from_secs(5))?.await?;
    driver.await?;
    Ok(measurement)
}
