#![allow(clippy::unwrap_used, clippy::panic)]

use crate::certificates::{Authority, Leaf};
use iothub_mqtt::hub::sas;
use serde_json::json;

use super::*;
use crate::options::Pem;

const NOW: u64 = 1_700_000_000;

fn named(text: &str) -> NamedKey {
    NamedKey::new(&STANDARD.encode(text)).unwrap()
}

fn generate(label: &str) -> Result<NamedKey, String> {
    Ok(named(label))
}

fn id(text: &str) -> RegistrationId {
    RegistrationId::new(text).unwrap()
}

fn enrollments(
    enrollments: Vec<EnrollmentOptions>,
    groups: Vec<GroupOptions>,
) -> Result<Enrollments, String> {
    Enrollments::new(&DpsOptions { enrollments, groups, ..DpsOptions::default() }, generate)
}

fn signed(registration: &str, key: &NamedKey) -> Evidence {
    let resource = format!("0ne1%2Fregistrations%2F{registration}");
    Evidence::Token(sas::token(&resource, &key.key, NOW, None).parse().unwrap())
}

#[test]
fn a_device_key_is_derived_as_documented() {
    let group = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
    let derived = derive(&NamedKey::new(group).unwrap(), "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6").unwrap();
    assert_eq!(derived.base64, "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
}

#[test]
fn every_signers_resource_is_taken() {
    let key = named("0123456789abcdef");
    let check = |sr: &str, skn: Option<&str>, now: u64| {
        let token = sas::token(sr, &key.key, NOW, skn).parse().unwrap();
        check_token(&token, "0neFEEDC0DE", &id("my:Id"), now)
    };
    for sr in [
        "0neFEEDC0DE%2Fregistrations%2Fmy%3AId",
        "0neFEEDC0DE%2fregistrations%2fmy%3aId",
        "0neFEEDC0DE/registrations/my:Id",
        "0nefeedc0de/registrations/MY:ID",
        "0neFEEDC0DE%2Fregistrations%2Fmy%253AId",
    ] {
        for skn in [None, Some("registration")] {
            assert_eq!(check(sr, skn, NOW), Ok(()), "{sr}");
        }
    }
    for sr in [
        "0neFEEDC0DE%2Fregistrations%2Fother",
        "0neFEEDC0DE%2Fregistrations",
        "0ne00000000%2Fregistrations%2Fmy%3AId",
        "0neFEEDC0DE%2Fdevices%2Fmy%3AId",
        "0neFEEDC0DE%25252Fregistrations%25252Fmy:Id",
    ] {
        assert!(
            check(sr, None, NOW).unwrap_err().contains("is not '0neFEEDC0DE/registrations/my:Id'"),
            "{sr}"
        );
    }
    let good = "0neFEEDC0DE/registrations/my:Id";
    assert!(check(good, Some("iothubowner"), NOW).unwrap_err().contains("skn"));
    assert_eq!(check(good, None, NOW + 300), Ok(()));
    assert!(check(good, None, NOW + 301).unwrap_err().contains("expired"));
}

#[test]
fn either_key_of_an_individual_enrollment_counts_and_no_other() {
    let given = EnrollmentOptions {
        key: Some(named("primary-primary-").base64),
        secondary_key: Some(named("secondary-secondary").base64),
        device_id: Some("gauge".into()),
        ..EnrollmentOptions::new("One")
    };
    let enrollments = enrollments(vec![given, EnrollmentOptions::new("two")], vec![]).unwrap();
    for key in ["primary-primary-", "secondary-secondary"] {
        let one = id("oNE");
        let attested = enrollments.attest(&one, &signed("one", &named(key)), NOW).unwrap();
        assert_eq!((attested.device_id, attested.group), ("gauge", None));
        assert!(matches!(attested.credential, Credential::Keys(_)));
    }
    let two = id("two");
    let generated = named("enrollment primary two");
    assert_eq!(enrollments.attest(&two, &signed("two", &generated), NOW).unwrap().device_id, "two");
    for (registration, reason) in [("one", "neither key"), ("three", "no individual enrollment")] {
        let somebody = id(registration);
        let refused = enrollments.attest(&somebody, &signed(registration, &generated), NOW);
        let refused = refused.map(|attested| attested.device_id.to_owned()).unwrap_err();
        assert_eq!(refused.message, "Unauthorized");
        assert!(refused.reason.contains(reason), "{}", refused.reason);
    }
}

#[test]
fn a_device_of_a_group_signs_with_its_derived_key() {
    let enrollments = enrollments(
        vec![EnrollmentOptions::new("own")],
        vec![GroupOptions::new("first"), GroupOptions::new("second")],
    )
    .unwrap();
    for group in ["first", "second"] {
        for which in ["primary", "secondary"] {
            let master = named(&format!("enrollment group {which} {group}"));
            for derived_from in ["Dev-1", "dev-1"] {
                let evidence = signed("Dev-1", &derive(&master, derived_from).unwrap());
                let one = id("Dev-1");
                let attested = enrollments.attest(&one, &evidence, NOW).unwrap();
                assert_eq!((attested.device_id, attested.group), ("Dev-1", Some(group)));
            }
            // Neither the group's key itself, nor another device's, nor past an individual enrollment.
            let of_another = derive(&master, "dev-2").unwrap();
            let of_its_own = derive(&master, "own").unwrap();
            for (registration, key) in [("dev-1", &master), ("dev-1", &of_another), ("own", &of_its_own)] {
                assert!(enrollments.attest(&id(registration), &signed(registration, key), NOW).is_err());
            }
        }
    }
}

#[test]
fn certificates_count_by_thumbprint_or_by_authority() {
    let root = Authority::root("root");
    let (own, grouped, other) = (root.leaf("own"), root.leaf("Dev-1"), root.leaf("other"));
    let show = |leaf: &Leaf| Shown::new(vec![leaf.der.clone()]).unwrap();
    let individual = |registration: &str, leaf| EnrollmentOptions {
        thumbprint: Some("00".repeat(32)),
        secondary_thumbprint: Some(show(leaf).thumbprints.sha1.to_lowercase()),
        ..EnrollmentOptions::new(registration)
    };
    let group = GroupOptions { roots: vec![Pem::Text(root.pem())], ..GroupOptions::new("makers") };
    let enrollments =
        enrollments(vec![individual("OWN", &own), individual("misnamed", &other)], vec![group]).unwrap();
    let attest = |registration: &str, leaf| {
        let registration = id(registration);
        let attested = enrollments.attest(&registration, &Evidence::Certificate(show(leaf)), NOW);
        attested.map(|a| (a.credential, a.group.map(str::to_owned)))
    };
    assert!(matches!(attest("own", &own), Ok((Credential::Thumbprints(_), None))));
    let (credential, name) = attest("dev-1", &grouped).map_err(|e| e.reason).unwrap();
    assert_eq!(name.as_deref(), Some("makers"));
    let Credential::Thumbprints(kept) = credential else { panic!("{credential:?}") };
    assert_eq!(kept, [show(&grouped).thumbprints.sha256]);
    for (registration, leaf, reason) in [
        ("own", &grouped, "thumbprints are not"),
        ("misnamed", &other, "(CN) is 'other' and not 'misnamed'"),
        ("dev-2", &grouped, "(CN) is 'Dev-1' and not 'dev-2'"),
        ("dev-1", &Authority::root("else").leaf("dev-1"), "no trusted root"),
    ] {
        let refused = attest(registration, leaf).unwrap_err();
        assert_eq!(refused.message, "Invalid certificate.");
        assert!(refused.reason.contains(reason), "{}", refused.reason);
    }
    let token = signed("own", &named("0123456789abcdef"));
    assert!(enrollments.attest(&id("own"), &token, NOW).unwrap_err().reason.contains("sent a token"));
    assert!(enrollments.attest(&id("dev-1"), &token, NOW).unwrap_err().reason.contains("with certificates"));
}

#[test]
fn contradictions_are_refused_at_the_start() {
    let one = || EnrollmentOptions::new("one");
    let short = STANDARD.encode("too short");
    let dotted = json!({"a.b": 1}).as_object().unwrap().clone();
    for (given, part) in [
        (vec![one(), EnrollmentOptions::new("ONE")], "twice"),
        (vec![EnrollmentOptions::new("one.")], "ends in"),
        (vec![EnrollmentOptions { key: Some(short.clone()), ..one() }], "16 to 64 bytes"),
        (vec![EnrollmentOptions { key: Some("?".into()), ..one() }], "base64"),
        (vec![EnrollmentOptions { thumbprint: Some("ab".into()), ..one() }], "thumbprint has"),
        (
            vec![EnrollmentOptions {
                thumbprint: Some("0".repeat(40)),
                key: Some(named("0123456789abcdef").base64),
                ..one()
            }],
            "a key and a thumbprint",
        ),
        (vec![EnrollmentOptions { device_id: Some("a b".into()), ..one() }], "device id"),
        (vec![EnrollmentOptions { allocation_error: Some(400), ..one() }], "allocation-error"),
        (vec![EnrollmentOptions { desired: dotted, ..one() }], "twin: "),
    ] {
        let error = enrollments(given, vec![]).unwrap_err();
        assert!(error.contains(part) && !error.contains(&short), "{error}");
    }
    let group = || GroupOptions::new("g");
    for (given, part) in [
        (vec![group(), group()], "twice"),
        (vec![GroupOptions::new("")], "empty"),
        (vec![GroupOptions { roots: vec![Pem::File("/nowhere".into())], ..group() }], "/nowhere"),
        (
            vec![GroupOptions { roots: vec![Pem::Text(String::new())], key: Some(short), ..group() }],
            "a key and roots",
        ),
    ] {
        assert!(enrollments(vec![], given).unwrap_err().contains(part), "{part}");
    }
}

#[test]
fn options_are_read_with_dashes_and_misspelt_ones_refused() {
    let read = |text: &str| serde_json::from_str::<DpsOptions>(text);
    let options = read(
        r#"{"id-scope": "0neA", "retry-after": 1,
            "enrollments": [{"registration": "r", "device-id": "d", "payload": {"a": 1}, "reprovision": "reset",
                             "tags": {"t": 1}, "desired": {"x": true}, "edge": true}],
            "groups": [{"name": "g", "roots": ["ca.pem", "-----BEGIN CERTIFICATE-----"], "disabled": true,
                        "allocation-error": 400207, "assigning-polls": 2}]}"#,
    )
    .unwrap();
    assert_eq!((options.id_scope.as_deref(), options.retry_after), (Some("0neA"), 1));
    let one = &options.enrollments[0];
    assert_eq!((one.device_id.as_deref(), one.reprovision), (Some("d"), Reprovision::Reset));
    assert_eq!((&one.tags["t"], &one.desired["x"]), (&json!(1), &json!(true)));
    let group = &options.groups[0];
    assert!(matches!(&group.roots[..], [Pem::File(_), Pem::Text(_)]) && group.disabled);
    assert_eq!((group.allocation_error, group.assigning_polls), (Some(400_207), 2));
    assert!(read(r#"{"enrollments": [{"registration": "r", "deviceid": "d"}]}"#).is_err());
    assert!(
        !format!("{:?}", EnrollmentOptions { key: Some("secret".into()), ..one.clone() }).contains("secret")
    );
}

#[test]
fn what_the_readme_shows_is_read() {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        dps: DpsOptions,
    }
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\n[dps]").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let File { dps } = toml::from_str(&format!("[dps]{shown}")).unwrap();
    let (one, group) = (&dps.enrollments[0], &dps.groups[0]);
    assert_eq!((dps.id_scope.as_deref(), dps.retry_after, dps.poll_limit), (Some("0ne00000001"), 3, 5));
    assert_eq!((one.payload.as_ref(), &one.tags["floor"]), (Some(&json!({"site": 7})), &json!(-1)));
    assert_eq!((group.reprovision, group.assigning_polls), (Reprovision::Migrate, 2));
}
