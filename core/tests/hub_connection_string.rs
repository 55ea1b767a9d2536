//! Connection strings: each way to break one has its own text, and no text holds a secret.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use iothub_mqtt::ErrorKind;
use iothub_mqtt::hub::ConnectionString;
use proptest::prelude::*;

const KEY: &str = "NMgJDvdKTxjLi+xBxxkDDEwDJxEvOE5u8BiT0mVgPeg=";
const TOKEN: &str = "SharedAccessSignature sr=h%2Fdevices%2Fd&sig=c2VjcmV0&se=1700000000";

/// Texts that must never come out again.
const SECRETS: [&str; 4] = [KEY, "NMgJDvdKTxjLi", "c2VjcmV0", "s3cret"];

fn parse(text: &str) -> ConnectionString {
    text.parse().unwrap()
}

#[test]
fn takes_every_form() {
    let device = parse(&format!("HostName=h.azure-devices.net;DeviceId=d;SharedAccessKey={KEY}"));
    assert_eq!(device.host_name, "h.azure-devices.net");
    assert_eq!(device.dial_host(), "h.azure-devices.net");
    assert_eq!(device.shared_access_key.as_deref(), Some(KEY));
    assert_eq!(device.identity().unwrap().client_id(), "d");
    assert!(!device.x509);

    let module =
        parse(&format!("SharedAccessKey={KEY};ModuleId=m;DeviceId=d;GatewayHostName=edge-1;HostName=h"));
    assert_eq!(module.identity().unwrap().client_id(), "d/m");
    assert_eq!(module.identity().unwrap().hub_host(), "h");
    assert_eq!(module.dial_host(), "edge-1");

    let policy = parse(&format!("HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}"));
    assert_eq!(policy.shared_access_key_name.as_deref(), Some("iothubowner"));
    assert!(policy.identity().unwrap_err().detail().contains("DeviceId is missing"));

    let token = parse(&format!("HostName=h;DeviceId=d;SharedAccessSignature={TOKEN}"));
    assert_eq!(token.shared_access_signature.as_deref(), Some(TOKEN));

    for text in ["x509=true", "x509=True", "X509Cert=TRUE"] {
        assert!(parse(&format!("HostName=h;DeviceId=d;{text}")).x509, "{text}");
    }
    assert!(!parse(&format!("HostName=h;DeviceId=d;x509=false;SharedAccessKey={KEY}")).x509);
    for host in ["localhost", "127.0.0.1", "::1", "my_host.example"] {
        let text = format!("HostName={host};DeviceId=d;x509=true");
        assert_eq!(parse(&text).host_name, host);
    }
}

#[test]
fn says_what_is_wrong_and_no_secret() {
    let key = format!("SharedAccessKey={KEY}");
    let long = "d".repeat(129);
    let cases = [
        ("", "must not be empty"),
        (" \n", "must not be empty"),
        ("HostName=h;DeviceId=d;{key}\n", "must not begin or end with white space"),
        ("{token}", "this is a SAS token"),
        ("HostName=h;;DeviceId=d;{key}", "part 2 is empty"),
        ("HostName=h;DeviceId=d;{key};", "part 4 is empty"),
        ("HostName=h;DeviceId=d;s3cret", "part 3 has no '='"),
        ("HostName=h;DeviceId=d;=s3cret", "part 3 has no key before '='"),
        ("HostName=h;DeviceId=d;SharedAcessKey=s3cret", "SharedAcessKey is no known key"),
        ("HostName=h;DeviceId=d;NMgJDvdKTxjLi==", "part 3 has no known key"),
        ("HostName=h;DeviceId=d;sr s3cret=1", "part 3 has no known key"),
        ("HostName=h;DeviceId=d;c2VjcmV0=x", "part 3 has no known key"),
        ("HostName=h;deviceid=d;{key}", "part 2 must be written DeviceId"),
        ("HostName=h; DeviceId=d;{key}", "part 2 must be written DeviceId"),
        ("HostName=h;HostName=h;DeviceId=d;{key}", "HostName is there twice"),
        ("HostName=h;DeviceId=d;x509=true;X509Cert=true", "X509Cert is there twice"),
        ("HostName=h;DeviceId=d;{key};{key}", "SharedAccessKey is there twice"),
        ("HostName=h;DeviceId=;{key}", "DeviceId has no value"),
        ("HostName=h;DeviceId= ;{key}", "DeviceId has no value"),
        ("HostName=h;DeviceId=d;SharedAccessKey=", "SharedAccessKey has no value"),
        ("HostName=h ;DeviceId=d;{key}", "the value of HostName must not begin or end"),
        ("HostName=h;DeviceId=d;x509=yes", "x509 must be true or false"),
        ("DeviceId=d;{key}", "HostName is missing"),
        ("HostName=https://h;DeviceId=d;{key}", "HostName: must be a host name alone"),
        ("HostName=h:8883;DeviceId=d;{key}", "HostName: must be a host name alone"),
        ("HostName=h;GatewayHostName=a/b;DeviceId=d;{key}", "GatewayHostName: must be a host"),
        ("HostName=h", "DeviceId is missing"),
        ("HostName=h;{key}", "DeviceId is missing"),
        ("HostName=h;ModuleId=m;SharedAccessKeyName=p;{key}", "ModuleId is there without DeviceId"),
        ("HostName=h;DeviceId=a/b;{key}", "DeviceId: must not contain '/'"),
        ("HostName=h;DeviceId=a+b;{key}", "DeviceId: must not contain '+': IoT Hub registers"),
        ("HostName=h;DeviceId=a#b;{key}", "DeviceId: must not contain '#': IoT Hub registers"),
        ("HostName=h;DeviceId=é;{key}", "DeviceId: must not contain 'é'"),
        ("HostName=h;DeviceId={long};{key}", "DeviceId: must have at most 128"),
        ("HostName=h;DeviceId=d;ModuleId=a b;{key}", "ModuleId: must not contain ' '"),
        ("HostName=h;DeviceId=d", "no credential"),
        ("HostName=h;DeviceId=d;x509=false", "no credential"),
        ("HostName=h;DeviceId=d;x509=true;{key}", "x509=true excludes SharedAccessKey"),
        (
            "HostName=h;DeviceId=d;x509=true;SharedAccessSignature={token}",
            "x509=true excludes SharedAccessSignature",
        ),
        (
            "HostName=h;DeviceId=d;{key};SharedAccessSignature={token}",
            "SharedAccessKey and SharedAccessSignature exclude",
        ),
        (
            "HostName=h;DeviceId=d;SharedAccessKeyName=p;x509=true",
            "SharedAccessKeyName is there without SharedAccessKey",
        ),
        ("HostName=h;DeviceId=d;SharedAccessKey=s3cret!!", "SharedAccessKey: must be base64"),
        ("HostName=h;DeviceId=d;SharedAccessKey=s3cret", "may have been cut off"),
        (
            "HostName=h;DeviceId=d;SharedAccessSignature=s3cret",
            "SharedAccessSignature: must be 'SharedAccessSignature', one space",
        ),
    ];
    let mut texts = HashSet::new();
    for (template, expected) in cases {
        let text = template.replace("{key}", &key).replace("{token}", TOKEN).replace("{long}", &long);
        let error = text.parse::<ConnectionString>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.detail().contains(expected), "{template}: {error}");
        for secret in SECRETS {
            assert!(!error.detail().contains(secret), "{template}: {error}");
        }
        texts.insert(error.detail().to_owned());
    }
    let rules: HashSet<_> = cases.iter().map(|(_, expected)| expected).collect();
    assert!(texts.len() >= rules.len(), "each mistake has its own text");
}

#[test]
fn debug_hides_secrets() {
    for text in [
        format!("HostName=h;DeviceId=d;SharedAccessKey={KEY}"),
        format!("HostName=h;DeviceId=d;SharedAccessSignature={TOKEN}"),
    ] {
        let shown = format!("{:?}", parse(&text));
        assert!(shown.contains("device_id: Some(\"d\")"), "{shown}");
        assert!(shown.contains("hidden"), "{shown}");
        for secret in SECRETS {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

proptest! {
    #[test]
    fn parsing_undoes_writing(
        host in "[a-z0-9][a-z0-9.-]{0,40}",
        device in r"[A-Za-z0-9\-.%_*?!(),=@$':]{1,128}",
        module in prop::option::of(r"[A-Za-z0-9\-.%_*?!(),=@$':]{1,128}"),
        gateway in prop::option::of("[a-z0-9]{1,20}"),
        credential in 0..3,
    ) {
        let written = ConnectionString {
            host_name: host,
            device_id: Some(device),
            module_id: module,
            gateway_host_name: gateway,
            shared_access_key: (credential == 0).then(|| KEY.to_owned()),
            shared_access_signature: (credential == 1).then(|| TOKEN.to_owned()),
            x509: credential == 2,
            ..ConnectionString::default()
        };
        let parsed: ConnectionString = written.to_connection_string().parse().unwrap();
        prop_assert!(parsed == written);
    }

    #[test]
    fn never_panics_and_never_echoes_a_key(
        before in "[;=A-Za-z0-9 ]{0,20}",
        after in any::<String>(),
    ) {
        let text = format!("{before}{KEY}{after}");
        if let Err(error) = text.parse::<ConnectionString>() {
            prop_assert!(!error.detail().contains(&KEY[..KEY.len() - 1]), "{}", error);
        }
    }
}
