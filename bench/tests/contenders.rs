//! Every contender written in Rust gets all of its acknowledgements from the sink, with either TLS version.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;
use std::time::Duration;

use iothub_bench::runner::contenders::{Contender, Driver, TABLE};
use iothub_bench::runner::process::{Load, run};
use iothub_bench::sink::{Sink, TlsVersion};

fn written() -> impl Iterator<Item = (&'static Contender, Command)> {
    TABLE.iter().filter_map(|contender| match contender.driver {
        Driver::Rust(name) => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_bench-peer"));
            command.arg(name);
            Some((contender, command))
        }
        _ => None,
    })
}

#[test]
fn a_contender_counts_what_it_was_asked_for() {
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let sink = Sink::start(version).unwrap();
        for (contender, command) in written() {
            // No multiple of the window, and more in a window than fits into one TLS record.
            let run = run(command, contender, Load { count: 1234, size: 700 }, &sink)
                .unwrap_or_else(|error| panic!("{} over {version:?}: {error}", contender.name));
            assert_eq!(run.client.messages, 1234, "{}", contender.name);
            assert!(run.client.cpu > Duration::ZERO && run.hub_cpu > Duration::ZERO);
        }
    }
}

#[test]
fn a_contender_that_fails_is_no_result() {
    let sink = Sink::start(TlsVersion::V13).unwrap();
    let load = Load { count: 1, size: 1 };
    let contender = &TABLE[0];
    assert!(run(Command::new("false"), contender, load, &sink).is_err());
    assert!(run(Command::new("true"), contender, load, &sink).is_err());
    let mut late = Command::new("sh");
    late.args(["-c", r#"echo '{"messages":1,"cpu_us":1,"wall_us":1,"peak_rss_kib":1}'; exit 3"#]);
    let error = run(late, contender, load, &sink).unwrap_err().to_string();
    assert!(error.contains("exit status: 3"), "{error}");
    assert!(run(Command::new("/nonexistent/contender"), contender, load, &sink).is_err());
}
