//! Test vectors collected from Microsoft's SDKs and documentation: connecting and signing.
#![allow(clippy::unwrap_used, clippy::panic)]

mod vectors;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub_mqtt::hub::sas::{self, SasToken, SharedAccessKey};
use iothub_mqtt::hub::{ConnectionString, Identity, UsernameQuery, percent};
use serde_json::Value;
use vectors::{area, optional, style, text};

/// Areas of the file that other parts of the project test, and why they are none of this one's.
const ELSEWHERE: [(&str, &str); 16] = [
    ("connect.parse_username", "the local hub reads user names"),
    ("csr.parse_topic", "a preview interface that is not built"),
    ("csr.publish_topic", "a preview interface that is not built"),
    ("csr.request_body", "a preview interface that is not built"),
    ("dps.client_id", "provisioning"),
    ("dps.parse_response", "provisioning"),
    ("dps.parse_topic", "provisioning"),
    ("dps.request_body", "provisioning"),
    ("dps.topic", "provisioning"),
    ("dps.username", "provisioning"),
    ("error.classify", "texts of another MQTT library"),
    ("pnp.component", "bodies are the application's"),
    ("pnp.writable_ack", "bodies are the application's"),
    ("retry.delay", "the back-off of another SDK"),
    ("twin.merge", "the local hub merges twins"),
    ("twin.validate", "the local hub checks twins"),
];

#[test]
fn every_area_is_used_or_named_as_belonging_elsewhere() {
    let here = vectors::AREAS_USED.iter().map(|(name, _)| *name);
    let elsewhere = ELSEWHERE.iter().map(|(name, _)| *name);
    let known: BTreeSet<_> = here.chain(elsewhere).collect();
    let all = vectors::all();
    let present: BTreeSet<_> = all.iter().map(|v| v["area"].as_str().unwrap()).collect();
    assert_eq!(known, present);
    assert_eq!(all.len(), 96, "a vector was added or removed");
}

#[test]
fn client_ids() {
    for (input, expected) in area("connect.client_id") {
        let id = Identity::new("h.example", text(&input, "device_id"), None).unwrap();
        assert_eq!(id.client_id(), expected.as_str().unwrap());
    }
    let module = Identity::new("h.example", "d", Some("m")).unwrap();
    assert_eq!(module.client_id(), "d/m");
}

#[test]
fn usernames() {
    for (input, expected) in area("connect.username") {
        let expected = expected.as_str().unwrap();
        let hub = text(&input, "hub");
        let module = optional(&input, "module_id");
        let id = Identity::new(hub, text(&input, "device_id"), module).unwrap();
        let query = UsernameQuery {
            // The Python SDK chooses this version where the product is a model.
            api_version: optional(&input, "api_version").unwrap_or("2020-09-30"),
            device_client_type: optional(&input, "user_agent")
                .or_else(|| optional(&input, "user_agent_already_encoded")),
            model_id: optional(&input, "model_id").or_else(|| optional(&input, "product_info")),
        };
        let ours = id.username(&query);
        if style(&input) == "azure-iot-sdk-node" {
            // Node writes the model before the type and leaves more characters alone.
            assert_ne!(ours, expected);
            assert_eq!(username_parts(&ours), username_parts(expected));
        } else {
            assert_eq!(ours, expected);
        }
    }
}

fn username_parts(username: &str) -> BTreeSet<String> {
    let (path, query) = username.split_once("/?").unwrap();
    let decoded = query.split('&').map(|pair| percent::decode(pair).unwrap().into_owned());
    decoded.chain([path.to_owned()]).collect()
}

#[test]
fn text_to_sign() {
    for (input, expected) in area("sas.string_to_sign") {
        let id = Identity::new(text(&input, "hub"), text(&input, "device_id"), None).unwrap();
        let resource = sas::encode_resource(&id.resource_uri());
        assert_eq!(resource, id.sas_resource());
        let expiry = input["expiry"].as_u64().unwrap();
        assert_eq!(sas::signed_text(&resource, expiry), expected.as_str().unwrap());
    }
    for (input, expected) in area("dps.sas.string_to_sign") {
        // The embedded SDK writes a lower-case %2f for provisioning; ours is upper-case always.
        let scope = text(&input, "id_scope");
        let registration = text(&input, "registration_id");
        let resource = sas::encode_resource(&format!("{scope}/registrations/{registration}"));
        let ours = sas::signed_text(&resource, input["expiry"].as_u64().unwrap());
        assert_ne!(ours, expected.as_str().unwrap());
        assert_eq!(ours.replace("%2F", "%2f"), expected.as_str().unwrap());
    }
}

#[test]
fn tokens() {
    for (input, expected) in area("sas.token") {
        let expected = expected.as_str().unwrap();
        let expiry = input["expiry"].as_u64().unwrap();
        let ours = match optional(&input, "key_base64") {
            Some(key) => {
                let key = SharedAccessKey::from_base64(key).unwrap();
                sas::token(text(&input, "sr"), &key, expiry, None)
            }
            None => {
                let id = Identity::new(text(&input, "hub"), text(&input, "device_id"), None);
                sas::token_with_signature(
                    &id.unwrap().sas_resource(),
                    text(&input, "signature_base64"),
                    expiry,
                    optional(&input, "key_name"),
                )
            }
        };
        assert_eq!(ours, expected);
        let parsed: SasToken = ours.parse().unwrap();
        assert_eq!(parsed.expiry, expiry);
        assert_eq!(parsed.key_name.as_deref(), optional(&input, "key_name"));
    }
}

#[test]
fn tokens_with_signature_and_text() {
    for (input, expected) in area("sas.token_full").into_iter().chain(area("dps.sas.token_full")) {
        let key = SharedAccessKey::from_base64(text(&input, "key_base64")).unwrap();
        let expiry = input["expiry"].as_u64().unwrap();
        let resource = text(&input, "sr_as_sent");
        let token = sas::token(resource, &key, expiry, optional(&input, "key_name"));
        assert_eq!(token, text(&expected, "token"));
        let signature = STANDARD.decode(text(&expected, "signature_base64"));
        let parsed: SasToken = token.parse().unwrap();
        assert_eq!(parsed.signature, signature.unwrap());
        assert_eq!(parsed.resource, resource);
        assert!(parsed.verify(&key));
    }
}

#[test]
fn malformed_tokens_are_refused() {
    for (input, expected) in area("sas.parse") {
        assert!(expected["error"].is_string());
        assert!(text(&input, "token").parse::<SasToken>().is_err());
    }
}

#[test]
fn keys() {
    for (input, expected) in area("sas.key") {
        let key = SharedAccessKey::from_base64(text(&input, "key_base64"));
        let Some(hex) = optional(&expected, "key_hex") else {
            assert!(key.is_err());
            continue;
        };
        let bytes: Vec<u8> =
            (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        let same = SharedAccessKey::from_bytes(&bytes).unwrap();
        assert_eq!(key.unwrap().sign(b"x"), same.sign(b"x"));
    }
}

#[test]
fn group_keys_are_signatures_of_the_registration() {
    for (input, expected) in area("dps.group_key") {
        let group = SharedAccessKey::from_base64(text(&input, "group_key_base64")).unwrap();
        let derived = group.sign(text(&input, "registration_id").as_bytes());
        assert_eq!(STANDARD.encode(derived), expected.as_str().unwrap());
    }
}

#[test]
fn audience() {
    for (input, expected) in area("sas.audience") {
        let hub = text(&input, "hub");
        let device = text(&input, "device_id");
        // The id holds a '#', which MQTT does not allow, and Edge encodes ids twice.
        assert!(Identity::new(hub, device, None).is_err());
        let twice = sas::encode_resource(&format!("{hub}/devices/{}", percent::encode(device)));
        assert_eq!(twice, expected.as_str().unwrap());
    }
    // We encode once, but twice what would not survive the hub decoding twice.
    let id = Identity::new("h.example", "a%41$", None).unwrap();
    assert_eq!(id.sas_resource(), "h.example%2Fdevices%2Fa%252541%24");
    let once = percent::decode("h.example%2Fdevices%2Fa%252541%24").unwrap();
    assert_eq!(percent::decode(&once).unwrap(), id.resource_uri());
}

#[test]
fn expiry_with_skew() {
    for (input, expected) in area("sas.verify_expiry") {
        assert_eq!(text(&input, "se"), "now-240s");
        assert_eq!(input["server_clock_skew_allowance_seconds"], sas::CLOCK_SKEW);
        let token: SasToken = "SharedAccessSignature sr=r&sig=AAAA&se=1000".parse().unwrap();
        assert_eq!(Value::from(token.is_expired(1240)), expected["expired"]);
        assert!(!token.is_expired(1300));
        assert!(token.is_expired(1301));
    }
}

#[test]
fn connection_strings() {
    for (input, expected) in area("connection_string") {
        let parsed = text(&input, "text").parse::<ConnectionString>();
        let Some(ok) = expected.get("ok") else {
            assert!(parsed.is_err());
            continue;
        };
        if style(&input) == "azure-iot-sdk-node dictionary" {
            // Node's dictionary takes any key; a connection string has known ones only.
            assert!(parsed.is_err());
            continue;
        }
        let parsed = parsed.unwrap();
        assert_eq!(parsed.host_name, text(ok, "HostName"));
        assert_eq!(parsed.device_id.as_deref(), optional(ok, "DeviceId"));
        assert_eq!(parsed.shared_access_key.as_deref(), optional(ok, "SharedAccessKey"));
        assert_eq!(parsed.x509, ok.get("x509").is_some());
    }
}

#[test]
fn other_encoders_differ_as_documented() {
    for (input, expected) in area("url_encode") {
        let ours = percent::encode(text(&input, "text"));
        let expected = expected.as_str().unwrap();
        if style(&input) == "azure-iot-sdk-c" {
            // That SDK writes lower-case digits.
            assert_ne!(ours, expected);
            assert!(ours.eq_ignore_ascii_case(expected));
        } else {
            assert_eq!(ours, expected);
        }
    }
    for (input, expected) in area("url_decode") {
        // The C SDK refuses a raw space; what a hub sends never holds one, and ours keeps it.
        assert!(expected["error"].is_string());
        let raw = text(&input, "text");
        assert_eq!(percent::decode(raw).unwrap(), raw);
    }
}
