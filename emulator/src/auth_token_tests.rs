//! Tokens as each SDK makes them, and what is wrong with those of nobody.

#![allow(clippy::unwrap_used)]

use serde_json::Value;

use super::tests::{NOW, authority, keys, named};
use super::*;

/// The token text with the parts in the order that `form` names them.
fn written(form: &str, sr: &str, key: &str, se: &str) -> String {
    use base64::Engine as _;
    let signature = named(key).key.sign(format!("{sr}\n{se}").as_bytes());
    let raw = base64::engine::general_purpose::STANDARD.encode(signature);
    let upper = percent::encode(&raw);
    let mut lower = String::new();
    let mut escape = 0;
    for c in upper.chars() {
        escape = if c == '%' { 2 } else { i32::max(escape - 1, -1) };
        lower.push(if escape >= 0 { c.to_ascii_lowercase() } else { c });
    }
    form.replace("{sr}", sr)
        .replace("{SIG}", &upper)
        .replace("{sig}", &lower)
        .replace("{raw}", &raw)
        .replace("{se}", se)
}

fn admitted(settings: &Settings, id: &str, token: &str) -> Result<Granted, String> {
    let authority = Authority { tokens: settings.into(), ..authority() };
    authority.admit(&Identity::parse(id), &keys(), Some(token), None, NOW)
}

const USUAL: &str = "SharedAccessSignature sr={sr}&sig={SIG}&se={se}";

#[test]
fn every_sdks_way_of_writing_a_token_is_read() {
    let c = "SharedAccessSignature sr={sr}&sig={sig}&se={se}&skn=";
    let node = "SharedAccessSignature sr={sr}&sig={SIG}&se={se}";
    let rust = "SharedAccessSignature sr={sr}&se={se}&sig={SIG}";
    let page = "SharedAccessSignature sig={SIG}&se={se}&sr={sr}";
    let raw = "SharedAccessSignature sr={sr}&sig={raw}&se={se}";
    let names = "SharedAccessSignature SR={sr}&Sig={SIG}&SE={se}&Skn=";
    let line = "SharedAccessSignature\nsr={sr}&sig={SIG}&se={se}";
    for (form, id, sr) in [
        // The embedded SDK for C, and the one for Python.
        (USUAL, "n@m.et#st", "hub.example%2Fdevices%2Fn%40m.et%23st"),
        (USUAL, "d/m", "hub.example%2Fdevices%2Fd%2Fmodules%2Fm"),
        // The SDK for C: nothing encoded in sr, small hexadecimal digits in sig, an empty skn over HTTPS.
        (c, "n@m.et#st", "hub.example/devices/n@m.et#st"),
        (c, "d/$edgeAgent", "hub.example/devices/d/modules/$edgeAgent"),
        // The SDK for Node: one small digit among the capital ones.
        (node, "a!'()*z", "hub.example%2Fdevices%2Fa%21%27%28%29%2az"),
        // The SDK for C#, and the hub of IoT Edge: ids twice.
        (USUAL, "n@m.et#st", "hub.example%2Fdevices%2Fn%2540m.et%2523st"),
        (USUAL, "d/$edgeAgent", "hub.example%2Fdevices%2Fd%2Fmodules%2F%2524edgeAgent"),
        // The Rust client of IoT Edge: slashes as they are, the device's scope for a module.
        (rust, "d?/m", "hub.example/devices/d%3F"),
        // The documentation's order, and its advice to write escapes small.
        (page, "d:x", "hub.example%2fdevices%2fd%3ax"),
        // The sample of 2018.
        (USUAL, "d", "hub.example%2Fdevices%2Fd%2Fapi-version%3D2016-11-14"),
        // An id with a percent sign: once, twice, and not at all where it is no escape.
        (USUAL, "50%25", "hub.example%2Fdevices%2F50%2525"),
        (USUAL, "50%25", "hub.example%2Fdevices%2F50%252525"),
        (c, "50%", "hub.example/devices/50%"),
        // A signature as base64 has it, names in any case, a line feed after the scheme.
        (raw, "d", "hub.example/devices/d"),
        (names, "d", "hub.example/devices/d"),
        (line, "d", "hub.example/devices/d"),
    ] {
        let token = written(form, sr, "first", &NOW.to_string());
        let result = admitted(&Settings::default(), id, &token);
        assert!(result.is_ok(), "{id} with {form} and {sr}: {result:?}");
    }
}

#[test]
fn the_published_tokens_are_read() {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/vectors.json")).unwrap();
    let mut count = 0;
    for vector in all.iter().filter(|vector| vector["area"] == "sas.token_full") {
        let key = NamedKey::new(vector["input"]["key_base64"].as_str().unwrap()).unwrap();
        let expiry = vector["input"]["expiry"].as_u64().unwrap();
        let credential = Credential::Keys(Box::new([key.clone(), key]));
        let authority = Authority { hosts: vec!["myiothub.azure-devices.net".into()], ..authority() };
        let device = Identity::device("my_device");
        let token = vector["expected"]["token"].as_str().unwrap();
        let granted = authority.admit(&device, &credential, Some(token), None, expiry).unwrap();
        assert_eq!(granted.until, Some(expiry + 300));
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn what_is_not_written_like_a_token_is_refused() {
    let sr = "hub.example/devices/d";
    for form in [
        " SharedAccessSignature sr={sr}&sig={SIG}&se={se}",
        "SharedAccessSignature  sr={sr}&sig={SIG}&se={se}",
        "SharedAccessSignature sr={sr}&sig={SIG}&se={se} ",
        "SharedAccessSignature sr={sr}& sig={SIG}&se={se}",
        "sharedaccesssignature sr={sr}&sig={SIG}&se={se}",
        "SharedAccessSignaturesr={sr}&sig={SIG}&se={se}",
        "sr={sr}&sig={SIG}&se={se}",
        "SharedAccessSignature sig={SIG}&se={se}",
        "SharedAccessSignature sr={sr}&se={se}",
        "SharedAccessSignature sr={sr}&sig={SIG}",
        "SharedAccessSignature sr={sr}&sig=&se={se}",
        "SharedAccessSignature sr={sr}&sig=%%%&se={se}",
        "SharedAccessSignature sr={sr}&sig={SIG}&se=soon",
        "SharedAccessSignature sr={sr}&sig={SIG}&se=-1",
        "SharedAccessSignature sr={sr}&sig={SIG}&se={se}0",
        "SharedAccessSignature sr={sr}&sr={sr}&sig={SIG}&se={se}",
        "SharedAccessSignature sr={sr}%20&sig={SIG}&se={se}",
        "",
    ] {
        let token = written(form, sr, "first", &NOW.to_string());
        assert!(admitted(&Settings::default(), "d", &token).is_err(), "{form}");
    }
}

#[test]
fn a_scope_covers_whole_segments_below_it_and_nothing_beside() {
    for (id, sr, good) in [
        ("d", "HUB.EXAMPLE/devices/d", true),
        ("d", "hub.example/DEVICES/d", true),
        ("d", "hub.example/devices/d/modules/m", false),
        ("d/m", "hub.example/devices/d/modules/m", true),
        ("d/m", "hub.example/devices/d/modules/other", false),
        ("d/m", "hub.example/devices/e", false),
        ("d/m", "hub.example/devices/d/modules/m/more", false),
        ("dd", "hub.example/devices/d", false),
        ("d", "hub.example/devices", false),
        ("d", "hub.example", false),
        ("d", "hub.example.evil/devices/d", false),
        ("d", "devices/d", false),
    ] {
        let token = written(USUAL, sr, "first", &NOW.to_string());
        assert_eq!(admitted(&Settings::default(), id, &token).is_ok(), good, "{id} with {sr}");
    }
}

#[test]
fn case_and_double_encoding_of_ids_are_settings() {
    for (change, id, sr, good) in [
        ("sas-case=ignore", "Dev", "hub.example/devices/dEV", true),
        ("sas-case=compare", "Dev", "hub.example/devices/dEV", false),
        ("sas-case=compare", "Dev", "HUB.example/devices/Dev", true),
        ("sas-encoding=once-or-twice", "a@b", "hub.example%2Fdevices%2Fa%2540b", true),
        ("sas-encoding=once", "a@b", "hub.example%2Fdevices%2Fa%2540b", false),
        ("sas-encoding=once", "a@b", "hub.example%2Fdevices%2Fa%40b", true),
    ] {
        let mut settings = Settings::default();
        settings.set_pair(change).unwrap();
        let token = written(USUAL, sr, "first", &NOW.to_string());
        assert_eq!(admitted(&settings, id, &token).is_ok(), good, "{change} {sr}");
    }
}

#[test]
fn a_token_lasts_for_the_skew_and_its_connection_for_the_grace() {
    for (changes, end, cut) in
        [(&[][..], 300, 300), (&["token-skew=0"], 0, 0), (&["token-skew=60", "token-grace=600"], 60, 660)]
    {
        let mut settings = Settings::default();
        changes.iter().for_each(|change| settings.set_pair(change).unwrap());
        let token = |se: u64| written(USUAL, "hub.example/devices/d", "first", &se.to_string());
        let granted = admitted(&settings, "d", &token(NOW - end)).unwrap();
        assert_eq!(granted.until, Some(NOW - end + cut));
        assert!(admitted(&settings, "d", &token(NOW - end - 1)).is_err(), "{changes:?}");
    }
    let forever = written(USUAL, "hub.example/devices/d", "first", &u64::MAX.to_string());
    assert_eq!(admitted(&Settings::default(), "d", &forever).unwrap().until, Some(u64::MAX));
}

#[test]
fn every_policy_lets_devices_in_or_not() {
    for (name, good) in [
        ("iothubowner", true),
        ("device", true),
        ("service", false),
        ("registryRead", false),
        ("registryReadWrite", false),
    ] {
        for sr in ["hub.example", "hub.example%2Fdevices", "hub.example%2Fdevices%2Fd"] {
            let form = format!("{USUAL}&skn={name}");
            let token = written(&form, sr, name, &NOW.to_string());
            assert_eq!(admitted(&Settings::default(), "d", &token).is_ok(), good, "{name} {sr}");
        }
    }
}

#[test]
fn a_token_counts_for_a_device_with_keys_though_it_shows_a_certificate_too() {
    let shown = Shown::new(vec![b"certificate"[..].into()]).unwrap();
    let token = written(USUAL, "hub.example/devices/d", "second", &NOW.to_string());
    let device = Identity::device("d");
    assert!(authority().admit(&device, &keys(), Some(&token), Some(&shown), NOW).is_ok());
}

#[test]
fn no_reason_of_a_refusal_holds_a_secret() {
    let token = written(USUAL, "hub.example/devices/d", "third", &NOW.to_string());
    let signature = token.split("sig=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let reason = admitted(&Settings::default(), "d", &token).unwrap_err();
    assert!(
        !reason.contains(&signature) && !reason.contains(&percent::decode(&signature).unwrap().into_owned())
    );
}
