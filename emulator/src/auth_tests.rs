#![allow(clippy::unwrap_used, clippy::panic)]

use iothub_mqtt::hub::sas;

use super::*;

pub(super) const NOW: u64 = 1_800_000_000;

pub(super) fn named(text: &str) -> NamedKey {
    use base64::Engine as _;
    NamedKey::new(&base64::engine::general_purpose::STANDARD.encode(text)).unwrap()
}

pub(super) fn authority() -> Authority {
    let policies = POLICIES.iter().map(|name| Policy { name, key: named(name) }).collect();
    Authority {
        hosts: vec!["hub.example".into(), "127.0.0.1".into()],
        policies,
        roots: Roots::default(),
        tokens: (&Settings::default()).into(),
    }
}

pub(super) fn keys() -> Credential {
    Credential::Keys(Box::new([named("first"), named("second")]))
}

fn admit(id: &str, sr: &str, key: &str, skn: Option<&str>, se: u64) -> Result<Granted, String> {
    let token = sas::token(sr, &named(key).key, se, skn);
    authority().admit(&Identity::parse(id), &keys(), Some(&token), None, NOW)
}

#[test]
fn tokens_are_checked_for_scope_signature_and_expiry() {
    let cases = [
        ("d", "hub.example%2Fdevices%2Fd", "first", None, 0, Ok("device")),
        ("d", "hub.example%2fdevices%2fd", "second", None, 0, Ok("device")),
        ("d", "HUB.example/devices/D", "first", None, 0, Ok("device")),
        ("d", "127.0.0.1/devices/d", "first", None, 0, Ok("device")),
        ("d", "hub.example%2Fdevices%2Fd%2Fapi-version%3D2016-11-14", "first", None, 0, Ok("device")),
        ("n@m.et#st", "hub.example%2Fdevices%2Fn%2540m.et%2523st", "first", None, 0, Ok("device")),
        ("n@m.et#st", "hub.example%2Fdevices%2Fn%40m.et%23st", "first", None, 0, Ok("device")),
        ("d/m", "hub.example%2Fdevices%2Fd%2Fmodules%2Fm", "first", None, 0, Ok("module")),
        ("d/m", "hub.example%2Fdevices%2Fd", "first", None, 0, Ok("module")),
        ("d", "hub.example", "iothubowner", Some("iothubowner"), 0, Ok("hub")),
        ("d", "hub.example%2Fdevices", "device", Some("device"), 0, Ok("hub")),
        ("d", "hub.example/devices/d", "first", None, -300, Ok("device")),
        ("d", "hub.example/devices/d", "first", None, -301, Err("expired 301 s ago")),
        ("d", "hub.example/devices/d", "third", None, 0, Err("neither key")),
        ("d", "other.example/devices/d", "first", None, 0, Err("other.example")),
        ("d", "hub.example/devices/dd", "first", None, 0, Err("does not cover")),
        ("d", "hub.example/devices/d/modules/m", "first", None, 0, Err("does not cover")),
        ("d", "hub.example", "first", None, 0, Err("names no device")),
        ("d", "hub.example", "service", Some("service"), 0, Err("does not allow")),
        ("d", "hub.example", "first", Some("nobody"), 0, Err("no policy 'nobody'")),
        ("d", "hub.example", "first", Some("device"), 0, Err("did not sign")),
    ];
    for (id, sr, key, skn, life, expected) in cases {
        let result = admit(id, sr, key, skn, NOW.saturating_add_signed(life));
        match (&result, expected) {
            (Ok(granted), Ok(scope)) => {
                assert!(granted.method.contains(&format!(r#""scope":"{scope}""#)), "{sr}: {granted:?}");
            }
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{sr}: {reason}"),
            _ => panic!("{id} with {sr}: {result:?}"),
        }
    }
}

#[test]
fn certificates_count_only_for_identities_that_have_thumbprints() {
    let shown = Shown::new(vec![b"certificate"[..].into()]).unwrap();
    let good = Credential::Thumbprints(vec![shown.thumbprints.sha256.to_lowercase()]);
    let bad = Credential::Thumbprints(vec!["00".repeat(20)]);
    let device = Identity::device("d");
    let admit = |credential: &Credential, password: Option<&str>, certificate: Option<&Shown>| {
        authority().admit(&device, credential, password, certificate, NOW)
    };
    assert_eq!(admit(&good, None, Some(&shown)).unwrap().until, None);
    assert!(admit(&bad, None, Some(&shown)).unwrap_err().contains("Thumbprint does not match"));
    assert!(admit(&good, None, None).unwrap_err().contains("showed none"));
    assert!(admit(&keys(), None, Some(&shown)).unwrap_err().contains("no SAS token"));
    let token = sas::token("hub.example/devices/d", &named("first").key, NOW, None);
    assert!(admit(&good, Some(&token), Some(&shown)).unwrap_err().contains("certificate"));
}

#[test]
fn a_back_end_needs_a_policy_with_service_connect() {
    let token = |name: &str| sas::token("hub.example", &named(name).key, NOW, Some(name));
    let path = ["twins", "d"];
    assert_eq!(authority().admit_service(&token("service"), Right::ServiceConnect, &path, NOW), Ok(()));
    assert_eq!(authority().admit_service(&token("iothubowner"), Right::ServiceConnect, &path, NOW), Ok(()));
    for name in ["device", "registryRead", "registryReadWrite"] {
        assert!(
            authority().admit_service(&token(name), Right::ServiceConnect, &path, NOW).is_err(),
            "{name}"
        );
    }
    assert!(authority().admit_service(&token("service"), Right::ServiceConnect, &path, NOW + 301).is_err());
}
