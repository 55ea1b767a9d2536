//! The program: its first line, its errors, its end, and clients that are not ours.

#![allow(clippy::unwrap_used, clippy::panic)]

mod process;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use iothub_mqtt::hub::connection_string::ConnectionString;
use process::{PROGRAM, Running, error_of};

#[test]
fn the_first_line_says_where_everything_is() {
    let hub = Running::start(&["--device", "d", "--device", "k=a2V5a2V5a2V5a2U=", "--module", "d/m"]);
    assert_eq!(hub.ready["event"], "ready");
    assert_eq!(hub.ready["host"], "127.0.0.1");
    assert!(hub.ready["mqtt_port"].as_u64().unwrap() > 0 && hub.ready["https_port"].as_u64().unwrap() > 0);
    assert!(PathBuf::from(hub.text("ca")).is_absolute());
    let service: ConnectionString = hub.text("service_connection_string").parse().unwrap();
    assert_eq!(service.shared_access_key_name.as_deref(), Some("iothubowner"));
    let devices = hub.ready["devices"].as_array().unwrap();
    let ids: Vec<&str> = devices.iter().map(|device| device["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["d", "d/m", "k"]);
    let given = "HostName=localhost;DeviceId=k;SharedAccessKey=a2V5a2V5a2V5a2U=";
    assert_eq!(devices[2]["connection_string"], given);
    let module: ConnectionString = devices[1]["connection_string"].as_str().unwrap().parse().unwrap();
    assert_eq!(module.module_id.as_deref(), Some("m"));
}

#[test]
fn the_first_line_says_how_to_register() {
    let key = "a2V5a2V5a2V5a2V5a2V5aw==";
    let (one, group) = (format!("r={key}"), format!("g={key}"));
    let arguments = ["--dps-scope", "0neX", "--enroll", "s", "--enroll", &one, "--enroll-group", &group];
    let hub = Running::start(&arguments);
    let dps = &hub.ready["dps"];
    assert_eq!(dps["id_scope"], "0neX");
    assert_eq!(dps["enrollments"][0], serde_json::json!({"registration": "r", "key": key}));
    assert_eq!(dps["enrollments"][1]["registration"], "s");
    assert_eq!(dps["enrollments"][1]["key"].as_str().unwrap().len(), 44);
    assert_eq!(dps["groups"], serde_json::json!([{"name": "g", "key": key}]));
    assert_eq!(hub.ready["devices"], serde_json::json!([]));
}

#[test]
fn it_ends_with_its_standard_input_and_by_signals() {
    let mut hub = Running::start(&[]);
    drop(hub.child.stdin.take());
    assert!(hub.child.wait().unwrap().success());
    for signal in ["-TERM", "-INT"] {
        let mut hub = Running::start(&[]);
        Command::new("kill").args([signal, &hub.child.id().to_string()]).status().unwrap();
        assert!(hub.child.wait().unwrap().success(), "{signal}");
    }
}

#[test]
fn errors_name_the_option_and_a_way_out() {
    let certs = format!("{}/errors-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let free = ["--certs", &certs, "--https-port", "0"];
    for (arguments, part) in [
        (&["--mqtt-port", port.as_str()][..], "--mqtt-port 0"),
        (&["--mqtt-port", "0", "--module", "d/m"], "its device is not given"),
        (&["--mqtt-port", "0", "--device", "d=short"], "base64"),
        (&["--mqtt-port", "0", "--device", "d", "--device", "d"], "twice"),
        (&["--mqtt-port", "0", "--device", "a b"], "an id has"),
        (&["--mqtt-port", "0", "--x509", "d=12"], "thumbprint"),
        (
            &["--mqtt-port", "0", "--x509-ca", "d"],
            "d: no authority is given that could vouch for it: --x509-root",
        ),
        (&["--mqtt-port", "0", "--x509-root", "/no/such/file"], "--x509-root /no/such/file"),
        (&["--mqtt-port", "0", "--enroll", "r="], "provisioning: the enrollment 'r'"),
        (&["--mqtt-port", "0", "--dps-scope", "a/b"], "id scope"),
        (&["--mqtt-port", "0", "--host", "no such host"], "--host"),
        (&["--mqtt-port", "0", "--route", "d/a/out=d/b/in"], "the module d/a is not given"),
        (&["--mqtt-port", "0", "--events", "/no/such/dir"], "--events"),
    ] {
        let error = error_of(Command::new(PROGRAM).args(free).args(arguments));
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
    let _ = std::fs::remove_dir_all(certs);
}

#[test]
fn mosquittos_clients_send_and_receive() {
    let mut hub = Running::start(&["--device", "d"]);
    let topic = "devices/d/messages/events/%24.mid=1&a=b";
    let sent = hub.mosquitto("mosquitto_pub", topic).args(["-m", "hello"]).status().unwrap();
    assert!(sent.success());
    let event = hub.event("telemetry");
    assert_eq!((&event["body"], &event["properties"]["a"]), (&"hello".into(), &"b".into()));

    let subscriber = hub
        .mosquitto("mosquitto_sub", "devices/d/messages/devicebound/#")
        .args(["-C", "1", "-W", "20", "-v"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    hub.event("subscribed");
    let send = Command::new(PROGRAM)
        .args(["send", "d", "good day", "--property", "k=v w", "--message-id", "7"])
        .args(["--service", hub.text("service_connection_string"), "--ca", hub.text("ca")])
        .args(["--https-port", &hub.ready["https_port"].to_string()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(send.stdout).unwrap(), "7\n", "{}", String::from_utf8_lossy(&send.stderr));
    let output = subscriber.wait_with_output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        line,
        "devices/d/messages/devicebound/%24.mid=7&%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound&iothub-ack=none&k=v%20w good day\n"
    );

    let refused = hub
        .mosquitto("mosquitto_pub", topic)
        .args(["-m", "x", "-P", "SharedAccessSignature sr=localhost&sig=AAAA&se=1"])
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(refused.code(), Some(5));
    assert_eq!(hub.event("refused")["return_code"], 5);
}
