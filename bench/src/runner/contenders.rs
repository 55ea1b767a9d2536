//! Who takes part. A new contender is one entry here.

/// A client, with the window that it is measured at.
#[derive(Debug, Clone, Copy)]
pub struct Contender {
    pub name: &'static str,
    pub driver: Driver,
    /// Messages that may wait for their acknowledgement at one time.
    pub window: u16,
    pub role: Role,
}

/// How a contender is started. Every program takes the arguments of [`Task`](crate::client::Task).
#[derive(Debug, Clone, Copy)]
pub enum Driver {
    /// A subcommand of `bench-peer`.
    Rust(&'static str),
    /// A program in `target/bench`, with arguments of its own; left out when it was not built.
    Program(&'static str, &'static [&'static str]),
}

/// What a row of the table is compared with, or for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What cannot be beaten.
    Limit,
    Ours,
    Rumqttc,
    Mosquitto,
}

/// All contenders, in the order of the table.
pub const TABLE: &[Contender] = &[
    Contender { name: "floor (no library)", driver: Driver::Rust("floor"), window: 100, role: Role::Limit },
    Contender {
        name: "iothub-mqtt Rust, DeviceClient",
        driver: Driver::Rust("device-client"),
        window: 100,
        role: Role::Ours,
    },
    Contender {
        name: "iothub-mqtt C, threaded, a completion each",
        driver: Driver::Program("iothub", &[]),
        window: 100,
        role: Role::Ours,
    },
    Contender { name: "rumqttc 0.25.1", driver: Driver::Rust("rumqttc"), window: 100, role: Role::Rumqttc },
    Contender {
        name: "libmosquitto, its 20 in flight",
        driver: Driver::Program("mosquitto", &["--inflight", "20"]),
        window: 20,
        role: Role::Mosquitto,
    },
    Contender {
        name: "libmosquitto, 100 in flight",
        driver: Driver::Program("mosquitto", &["--inflight", "100"]),
        window: 100,
        role: Role::Mosquitto,
    },
];
