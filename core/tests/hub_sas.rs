//! Shared access signatures: what is signed, what is read, and what is never shown.
#![allow(clippy::unwrap_used)]

use iothub_mqtt::ErrorKind;
use iothub_mqtt::hub::sas::{SasToken, SharedAccessKey, token};
use proptest::prelude::*;

fn key() -> SharedAccessKey {
    SharedAccessKey::from_base64("NMgJDvdKTxjLi+xBxxkDDEwDJxEvOE5u8BiT0mVgPeg=").unwrap()
}

/// The signature depends on the exact text of the resource (RFC 2104 recomputed elsewhere).
#[test]
fn the_resource_is_signed_as_sent() {
    for (resource, signature) in [
        (
            "myiothub.azure-devices.net%2Fdevices%2Fmy_device",
            "dIMMdDDBGFR8eqAfYkiMxoOphaFMPtMgj7Wg%2FYB1AvU%3D",
        ),
        (
            "myiothub.azure-devices.net%2fdevices%2fmy_device",
            "WO%2F69FPFL8u2esaf7RepSUhwEuBwuYgVlqGlOzRLmS0%3D",
        ),
        ("myiothub.azure-devices.net/devices/my_device", "B7zGUtyWMtt6IhHOU%2Ba6GCOSMwkpkTgAXFFGABDd88M%3D"),
    ] {
        let expected = format!("SharedAccessSignature sr={resource}&sig={signature}&se=1578941692");
        assert_eq!(token(resource, &key(), 1_578_941_692, None), expected);
        let parsed: SasToken = expected.parse().unwrap();
        assert_eq!(parsed.resource, resource);
        assert!(parsed.verify(&key()));
    }
}

#[test]
fn reads_what_other_signers_write() {
    let signature = "dIMMdDDBGFR8eqAfYkiMxoOphaFMPtMgj7Wg/YB1AvU=";
    let sr = "myiothub.azure-devices.net%2Fdevices%2Fmy_device";
    for text in [
        format!("SharedAccessSignature sig={signature}&se=1578941692&skn=&sr={sr}"),
        format!("SharedAccessSignature SR={sr}&Sig={signature}&sE=1578941692&"),
        format!("SharedAccessSignature\nsr={sr}&se=1578941692&sig={}", signature.trim_end_matches('=')),
        format!(
            "SharedAccessSignature sr={sr}&sig={}&se=1578941692",
            signature.replace('/', "%2f").replace('=', "%3d")
        ),
    ] {
        let parsed: SasToken = text.parse().unwrap();
        assert!(parsed.verify(&key()), "{text}");
        assert_eq!(parsed.key_name, None);
        assert_eq!(parsed.expiry, 1_578_941_692);
    }
    // The digits of the expiry are signed as sent, too.
    let padded: SasToken =
        format!("SharedAccessSignature sr={sr}&sig={signature}&se=01578941692").parse().unwrap();
    assert_eq!(padded.expiry, 1_578_941_692);
    assert_eq!(padded.signed_text(), format!("{sr}\n01578941692"));
    assert!(!padded.verify(&key()));
    let policy: SasToken = "SharedAccessSignature sr=h&sig=AAAA&se=1&skn=a%26b".parse().unwrap();
    assert_eq!(policy.key_name.as_deref(), Some("a&b"));
}

#[test]
fn refuses_malformed_tokens_without_showing_them() {
    let rest = "sr=r&sig=c2VjcmV0&se=1";
    for (text, rule) in [
        (String::new(), "one space"),
        (format!("SharedAccessSignature{rest}"), "one space"),
        (format!("SharedAccessSignature  {rest}"), "one space"),
        (format!(" SharedAccessSignature {rest}"), "one space"),
        (format!("SharedAccessSignature {rest} "), "one space"),
        (format!("sharedaccesssignature {rest}"), "one space"),
        ("SharedAccessSignature ".to_owned(), "one space"),
        (format!("SharedAccessSignature {rest}&c2VjcmV0"), "name=value"),
        (format!("SharedAccessSignature {rest}&c2VjcmV0=1"), "only the fields"),
        (format!("SharedAccessSignature {rest}&SR=r"), "twice"),
        ("SharedAccessSignature sig=c2VjcmV0&se=1".to_owned(), "field sr is missing"),
        ("SharedAccessSignature sr=r&se=1".to_owned(), "field sig is missing"),
        ("SharedAccessSignature sr=r&sig=c2VjcmV0".to_owned(), "field se is missing"),
        ("SharedAccessSignature sr=&sig=c2VjcmV0&se=1".to_owned(), "field sr is missing"),
        ("SharedAccessSignature sr=r&sig=c2Vj*mV0&se=1".to_owned(), "sig must be"),
        ("SharedAccessSignature sr=r&sig=%FF&se=1".to_owned(), "sig must be"),
        ("SharedAccessSignature sr=r&sig=c2VjcmV0&se=+1".to_owned(), "se must be"),
        ("SharedAccessSignature sr=r&sig=c2VjcmV0&se=99999999999999999999".to_owned(), "se must be"),
        (format!("SharedAccessSignature {rest}&skn=%FF"), "skn must be"),
    ] {
        let error = text.parse::<SasToken>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Argument);
        assert!(error.detail().contains(rule), "{text}: {error}");
        assert!(!error.detail().contains("c2Vj"), "{text}: {error}");
    }
}

#[test]
fn keys_are_base64_and_say_when_they_look_cut() {
    for (text, rule) in [
        ("", "must not be empty"),
        ("not a key", "must be base64"),
        ("Zm9v!mFy", "must be base64"),
        ("Zm9vYmF", "cut off"),
        ("NMgJDvdKTxjLi+xBxxkDDEwDJxEvOE5u8BiT0mVgPeg", "cut off"),
    ] {
        let error = SharedAccessKey::from_base64(text).unwrap_err();
        assert!(error.detail().contains(rule), "{text}: {error}");
        assert!(text.is_empty() || !error.detail().contains(text), "{error}");
    }
    // Unused low bits are no mistake to .NET and Python.
    let loose = SharedAccessKey::from_base64("Zm9vYmFyYh==").unwrap();
    let exact = SharedAccessKey::from_bytes(b"foobarb").unwrap();
    assert_eq!(loose.sign(b"x"), exact.sign(b"x"));
    assert!(SharedAccessKey::from_bytes(b"").is_err());
}

#[test]
fn debug_hides_secrets() {
    let token = token("h%2Fdevices%2Fd", &key(), 1, Some("policy"));
    let parsed: SasToken = token.parse().unwrap();
    assert_eq!(format!("{:?}", key()), "SharedAccessKey(hidden)");
    assert_eq!(
        format!("{parsed:?}"),
        r#"SasToken { resource: "h%2Fdevices%2Fd", expiry: 1, key_name: Some("policy"), .. }"#
    );
}

proptest! {
    #[test]
    fn a_signed_token_reads_back_and_verifies(
        key in prop::collection::vec(any::<u8>(), 1..100),
        resource in r"[A-Za-z0-9./%_\-]{1,80}",
        expiry in any::<u64>(),
        policy in prop::option::of(".{1,20}"),
    ) {
        let key = SharedAccessKey::from_bytes(&key).unwrap();
        let text = token(&resource, &key, expiry, policy.as_deref());
        let parsed: SasToken = text.parse().unwrap();
        prop_assert!(parsed.verify(&key));
        prop_assert_eq!(&parsed.resource, &resource);
        prop_assert_eq!(parsed.expiry, expiry);
        prop_assert_eq!(&parsed.key_name, &policy);

        for at in [0, 31] {
            let mut forged = parsed.clone();
            forged.signature[at] ^= 1;
            prop_assert!(!forged.verify(&key));
        }
        for len in [0, 1, 31, 33] {
            let mut resized = parsed.clone();
            resized.signature.resize(len, 0);
            prop_assert!(!resized.verify(&key));
        }
        let mut other = parsed;
        other.resource.push('x');
        prop_assert!(!other.verify(&key));
    }

    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = text.parse::<SasToken>();
        let _ = format!("SharedAccessSignature {text}").parse::<SasToken>();
        let _ = SharedAccessKey::from_base64(&text);
    }
}
