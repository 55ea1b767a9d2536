//! The contenders written in Rust, each a subcommand. Prints one JSON line: what the timed section cost.

mod device_client;
mod floor;
mod rumqttc_client;

use clap::{Parser, Subcommand};
use iothub_bench::Failure;
use iothub_bench::client::Task;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    contender: Contender,
}

#[derive(Subcommand)]
enum Contender {
    /// No library: prepared packets over blocking rustls.
    Floor(Task),
    /// This library's DeviceClient.
    DeviceClient(Task),
    /// rumqttc's AsyncClient and event loop.
    Rumqttc(Task),
}

fn main() -> Result<(), Failure> {
    let measurement = match Arguments::parse().contender {
        Contender::Floor(task) => floor::run(&task),
        Contender::DeviceClient(task) => device_client::run(&task),
        Contender::Rumqttc(task) => rumqttc_client::run(&task),
    }?;
    println!("{}", measurement.to_json());
    Ok(())
}
