//! The doctor, from C: what it tells, and the example that prints it.

use std::path::Path;
use std::process::Command;

use crate::build::{Language, Link, build, compiler, library, root};
use crate::lab::{DEVICE, Lab};
use crate::run::passes;

#[test]
fn doctor() {
    passes("doctor", &[]);
}

/// The lines of the example in `examples/c`, and whether it says that all is well.
fn table(
    program: &Path,
    arguments: &[&str],
    lab: &Lab,
    connection_string: &str,
    port: u16,
) -> (Vec<String>, bool) {
    let mut command = Command::new(program);
    command.args(arguments).env("LD_LIBRARY_PATH", library());
    for proxy in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    command.env("IOTHUB_CONNECTION_STRING", connection_string).env("IOTHUB_PORT", port.to_string());
    command.env("IOTHUB_TRUSTED_ROOTS", lab.hub.ca_path());
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    println!("{lines}");
    (lines.lines().map(str::to_owned).collect(), output.status.code().unwrap() == 0)
}

#[test]
fn the_example_prints_a_table() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("example-doctor");
    let mut cc = compiler(Language::C);
    cc.arg("-std=c11").arg(root().join("examples/c/doctor.c"));
    build(cc, Link::Shared, &program);

    let lab = Lab::new();
    let string = lab.hub.connection_string(DEVICE).unwrap();
    let names = ["options", "clock", "name", "proxy", "tcp", "tls", "websocket", "credentials"];
    for (arguments, port) in [(&[][..], lab.hub.mqtt_port()), (&["--websocket"], lab.hub.https_port())] {
        let (lines, well) = table(&program, arguments, &lab, &string, port);
        assert!(well);
        let first: Vec<_> = lines.iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(first, names);
        assert!(lines.iter().all(|line| !line.contains("FAILED") && !line.contains("not done")));
    }
    let stranger = string.replace(&format!("DeviceId={DEVICE}"), "DeviceId=stranger");
    let (lines, well) = table(&program, &[], &lab, &stranger, lab.hub.mqtt_port());
    assert!(!well);
    let last = lines.last().unwrap();
    assert!(last.starts_with("credentials  FAILED") && last.ends_with("; IOTHUB_E_AUTH"), "{last}");
}
