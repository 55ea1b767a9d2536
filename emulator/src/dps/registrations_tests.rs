#![allow(clippy::unwrap_used)]

use super::*;

fn registration(outcome: Outcome, group: Option<&str>) -> Registration {
    let attestation = Attestation { kind: "x509", group: group.map(str::to_owned) };
    let now = "2020-04-10T03:11:13.0276997Z".parse().unwrap();
    Registration::new(RegistrationId::new("R").unwrap(), attestation, outcome, now)
}

fn assigned() -> Outcome {
    let payload = Some(json!({"a": 1}));
    Outcome::Assigned { device_id: "d".into(), substatus: "initialAssignment", payload }
}

#[test]
fn the_final_answer_has_what_the_embedded_sdk_insists_on() {
    let mut registration = registration(assigned(), None);
    let operation = registration.start(0);
    let (first, rest) = operation.split_at(19);
    assert!(first.starts_with("4.") && first.ends_with('.') && rest.parse::<Uuid>().is_ok(), "{operation}");
    let (last, body) = registration.poll(&operation, "contoso.azure-devices.net").unwrap();
    assert!(last);
    let etag = body["registrationState"]["etag"].as_str().unwrap().to_owned();
    assert!(STANDARD.decode(&etag).unwrap().starts_with(b"\""));
    assert_eq!(
        body,
        json!({"operationId": operation, "status": "assigned", "registrationState": {
            "x509": {}, "registrationId": "R", "createdDateTimeUtc": "2020-04-10T03:11:13.0276997Z",
            "assignedHub": "contoso.azure-devices.net", "deviceId": "d", "status": "assigned",
            "substatus": "initialAssignment", "lastUpdatedDateTimeUtc": "2020-04-10T03:11:13.0276997Z",
            "etag": etag, "payload": {"a": 1}}})
    );
}

#[test]
fn a_group_is_named() {
    let mut registration = registration(assigned(), Some("makers"));
    let operation = registration.start(0);
    let (_, body) = registration.poll(&operation, "h").unwrap();
    assert_eq!(body["registrationState"]["x509"], json!({"enrollmentGroupId": "makers"}));
}

#[test]
fn failed_and_disabled_registrations_have_no_hub() {
    let failed = Outcome::Failed { code: 400_207, message: "no".into() };
    for (outcome, status) in [(failed, "failed"), (Outcome::Disabled, "disabled")] {
        let mut registration = registration(outcome, None);
        let operation = registration.start(0);
        let (last, body) = registration.poll(&operation, "h").unwrap();
        let state = &body["registrationState"];
        assert!(last);
        assert_eq!((&body["status"], &state["status"]), (&json!(status), &json!(status)));
        assert!(state.get("assignedHub").is_none() && state.get("deviceId").is_none());
        assert_eq!(state.get("errorCode").is_some(), status == "failed");
    }
}

#[test]
fn polls_before_the_result_are_told_to_wait() {
    let mut registration = registration(assigned(), None);
    let operation = registration.start(2);
    for _ in 0..2 {
        let (last, body) = registration.poll(&operation, "h").unwrap();
        assert!(!last);
        assert_eq!(body["registrationState"], json!({"registrationId": "R", "status": "assigning"}));
    }
    assert!(registration.poll(&operation, "h").unwrap().0);
}

#[test]
fn old_operations_are_known_for_a_while_and_foreign_ones_never() {
    let mut registration = registration(assigned(), None);
    let operations: Vec<String> = (0..=MAX_OPERATIONS).map(|_| registration.start(0)).collect();
    assert!(registration.poll(&operations[0], "h").is_none());
    assert!(operations[1..].iter().all(|operation| registration.poll(operation, "h").is_some()));
    assert!(registration.poll("4.0.0", "h").is_none());
}

#[test]
fn five_polls_fit_into_ten_seconds() {
    let mut registration = registration(assigned(), None);
    let start = Instant::now();
    let mut at = |seconds: u64| registration.may_poll(5, start + Duration::from_secs(seconds));
    let allowed: Vec<bool> = [0, 1, 2, 3, 4, 5, 9, 10, 10, 11].map(&mut at).to_vec();
    assert_eq!(allowed, [true, true, true, true, true, false, false, true, false, true]);
    assert!((0..100).all(|_| registration.may_poll(0, start)));
}
