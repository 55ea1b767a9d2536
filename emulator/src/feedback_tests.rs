#![allow(clippy::unwrap_used)]

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn record(feedback: &mut Feedback, device: &str, id: &str, ack: &str, outcome: Outcome) {
    if let Some(wish) = Wish::of(Some(ack), "g") {
        feedback.record(device, Some(&id.into()), &wish, outcome, at(0));
    }
}

fn ids(received: &Received) -> Vec<&str> {
    let records = received.document.as_array().unwrap();
    records.iter().map(|record| record["originalMessageId"].as_str().unwrap()).collect()
}

#[test]
fn a_sender_hears_what_it_asked_for() {
    for (ack, expected) in [
        ("none", &[][..]),
        ("positive", &["Success"]),
        ("negative", &["Expired", "Purged"]),
        ("full", &["Success", "Expired", "Purged"]),
    ] {
        let mut feedback = Feedback::default();
        for outcome in [Outcome::Success, Outcome::Expired, Outcome::Purged] {
            record(&mut feedback, "d", outcome.name(), ack, outcome);
        }
        let received = feedback.receive("t".into(), at(1));
        assert_eq!(received.as_ref().map(ids).unwrap_or_default(), expected, "{ack}");
    }
    assert!(Wish::of(None, "g").is_none());
}

#[test]
fn a_record_has_the_documented_form() {
    let mut feedback = Feedback::default();
    record(&mut feedback, "d", "1", "full", Outcome::Success);
    let received = feedback.receive("t".into(), at(1)).unwrap();
    assert_eq!(
        received.document,
        json!([{
            "originalMessageId": "1",
            "enqueuedTimeUtc": "1970-01-01T00:00:00.000Z",
            "statusCode": "Success",
            "description": "Success",
            "deviceId": "d",
            "deviceGenerationId": "g",
        }])
    );
    assert_eq!((received.sequence, received.deliveries), (1, 1));
    assert_eq!(received.enqueued, at(1));
}

#[test]
fn what_comes_meanwhile_is_another_batch() {
    let mut feedback = Feedback::default();
    record(&mut feedback, "d", "1", "full", Outcome::Success);
    feedback.receive("a".into(), at(1)).unwrap();
    assert_eq!(feedback.receive("b".into(), at(1)), None);
    record(&mut feedback, "d", "2", "full", Outcome::Success);
    let second = feedback.receive("b".into(), at(1)).unwrap();
    assert_eq!((ids(&second), second.sequence), (vec!["2"], 2));
    assert!(feedback.batches.abandon("a", at(1)));
    record(&mut feedback, "d", "3", "full", Outcome::Success);
    let again = feedback.receive("c".into(), at(1)).unwrap();
    assert_eq!((ids(&again), again.deliveries), (vec!["1"], 2), "the old one first");
}

#[test]
fn batches_are_bounded_in_size_time_and_number() {
    let mut feedback = Feedback::default();
    for i in 0..70 {
        record(&mut feedback, "d", &i.to_string(), "full", Outcome::Success);
    }
    assert_eq!(ids(&feedback.receive("a".into(), at(1)).unwrap()).len(), 64);
    assert_eq!(feedback.receive("z".into(), at(3601)), None, "what waits is not kept for ever either");

    for i in 0..=MAX_WAITING {
        record(&mut feedback, "d", &i.to_string(), "full", Outcome::Success);
    }
    assert_eq!(ids(&feedback.receive("y".into(), at(1)).unwrap())[0], "1");
}

#[test]
fn a_deleted_device_is_forgotten() {
    let mut feedback = Feedback::default();
    record(&mut feedback, "gone", "1", "full", Outcome::Success);
    record(&mut feedback, "d", "2", "full", Outcome::Success);
    feedback.forget("gone");
    assert_eq!(ids(&feedback.receive("a".into(), at(1)).unwrap()), ["2"]);
}
