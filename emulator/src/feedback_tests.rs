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
    let records = received.records.as_array().unwrap();
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
        let received = feedback.receive("t".into(), at(1), Instant::now());
        assert_eq!(received.as_ref().map(ids).unwrap_or_default(), expected, "{ack}");
    }
    assert!(Wish::of(None, "g").is_none());
}

#[test]
fn a_record_has_the_documented_form() {
    let mut feedback = Feedback::default();
    record(&mut feedback, "d", "1", "full", Outcome::Success);
    let received = feedback.receive("t".into(), at(1), Instant::now()).unwrap();
    assert_eq!(
        received.records,
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
    assert_eq!(received.enqueued, "1970-01-01T00:00:01.000Z");
}

#[test]
fn a_batch_is_locked_until_it_is_settled() {
    let now = Instant::now();
    let mut feedback = Feedback::default();
    record(&mut feedback, "d", "1", "full", Outcome::Success);
    feedback.receive("a".into(), at(1), now).unwrap();
    assert_eq!(feedback.receive("b".into(), at(1), now), None);
    record(&mut feedback, "d", "2", "full", Outcome::Success);
    let second = feedback.receive("b".into(), at(1), now).unwrap();
    assert_eq!((ids(&second), second.sequence), (vec!["2"], 2));

    assert!(!feedback.abandon("c", now), "no such lock");
    assert!(feedback.abandon("a", now));
    assert!(!feedback.complete("a", now), "it was given up");
    let again = feedback.receive("c".into(), at(1), now).unwrap();
    assert_eq!((ids(&again), again.deliveries), (vec!["1"], 2));
    assert!(feedback.complete("c", now));
    assert!(!feedback.complete("c", now));

    let late = now + LOCK;
    assert!(!feedback.complete("b", late), "the lock is over");
    assert_eq!(feedback.receive("d".into(), at(61), late).unwrap().deliveries, 2);
}

#[test]
fn batches_are_bounded_in_size_time_and_number() {
    let now = Instant::now();
    let mut feedback = Feedback::default();
    for i in 0..70 {
        record(&mut feedback, "d", &i.to_string(), "full", Outcome::Success);
    }
    let first = feedback.receive("a".into(), at(1), now).unwrap();
    assert_eq!(ids(&first).len(), 64);
    for i in 1..MAX_DELIVERIES {
        assert!(feedback.abandon("a", now));
        assert_eq!(feedback.receive("a".into(), at(1), now).unwrap().deliveries, i + 1);
    }
    assert!(feedback.abandon("a", now));
    let second = feedback.receive("a".into(), at(1), now).unwrap();
    assert_eq!((ids(&second)[0], second.deliveries), ("64", 1), "the first was dropped");
    assert_eq!(feedback.receive("z".into(), at(3601), now + LOCK), None);

    for i in 0..=MAX_WAITING {
        record(&mut feedback, "d", &i.to_string(), "full", Outcome::Success);
    }
    assert_eq!(ids(&feedback.receive("y".into(), at(1), now).unwrap())[0], "1");
}

#[test]
fn a_deleted_device_is_forgotten() {
    let mut feedback = Feedback::default();
    record(&mut feedback, "gone", "1", "full", Outcome::Success);
    record(&mut feedback, "d", "2", "full", Outcome::Success);
    feedback.forget("gone");
    assert_eq!(ids(&feedback.receive("a".into(), at(1), Instant::now()).unwrap()), ["2"]);
}
