use serde_json::json;

use super::*;

/// A twin, the clock, and what it asked and said.
struct Lab {
    twin: Twin<&'static str>,
    now: Instant,
    heard: Vec<Heard<&'static str>>,
}

impl Lab {
    fn new() -> Self {
        Self { twin: Twin::new(0xabcd), now: Instant::now(), heard: Vec::new() }
    }

    fn connected() -> Self {
        let mut lab = Self::new();
        lab.twin.connected();
        lab
    }

    fn get(&mut self, tag: &'static str) {
        self.twin.get(tag, self.now + Duration::from_secs(60)).unwrap();
    }

    fn report(&mut self, tag: &'static str) {
        let until = self.now + Duration::from_secs(60);
        self.twin.report(Bytes::from_static(tag.as_bytes()), tag, until).unwrap();
    }

    /// What is published now: `GET 1`, or `{body} 1` for a report.
    fn sent(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        self.twin.send(self.now, |topic, body| {
            let number = topic.split_once("?$rid=0000abcd-").unwrap().1;
            let what = if topic.contains("/GET/") { "GET" } else { std::str::from_utf8(body).unwrap() };
            sent.push(format!("{what} {number}"));
            true
        });
        sent
    }

    fn answer(&mut self, number: u64, status: u16, body: &str) {
        let rid = format!("0000abcd-{number:x}");
        let topic = TwinResponse { status, rid: &rid, version: Some(number), retry_after: None };
        self.twin.answered(topic, Bytes::copy_from_slice(body.as_bytes()), self.now, &mut self.heard);
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.twin.timer(self.now, &mut self.heard);
    }

    fn reconnect(&mut self) {
        self.twin.disconnected(&mut self.heard);
        self.twin.connected();
    }

    fn said(&mut self) -> Vec<String> {
        let heard = std::mem::take(&mut self.heard).into_iter();
        heard
            .map(|heard| match heard {
                Heard::Answer(tag, Ok(TwinAnswer::Twin(body))) => {
                    format!("{tag}: {}", String::from_utf8_lossy(&body))
                }
                Heard::Answer(tag, Ok(TwinAnswer::Reported(version))) => format!("{tag}: {version:?}"),
                Heard::Answer(tag, Err(error)) => format!("{tag}: {:?}", error.kind()),
                Heard::Desired(desired) => {
                    format!("{}: {}", desired.version, String::from_utf8_lossy(&desired.patch))
                }
            })
            .collect()
    }
}

#[test]
fn several_requests_are_answered_in_any_order() {
    let mut lab = Lab::connected();
    lab.get("a");
    lab.report("b");
    lab.get("c");
    assert_eq!(lab.sent(), ["GET 1", "b 2", "GET 3"]);
    assert!(lab.sent().is_empty() && lab.twin.expects());
    lab.answer(3, 200, "{3}");
    lab.answer(1, 200, "{1}");
    lab.answer(2, 204, "");
    lab.answer(2, 204, "");
    assert_eq!(lab.said(), ["c: {3}", "a: {1}", "b: Some(2)"]);
    assert!(!lab.twin.expects() && lab.twin.is_empty());
}

#[test]
fn the_answers_of_others_are_ignored() {
    let mut lab = Lab::connected();
    lab.get("a");
    lab.sent();
    for rid in ["1", "0000abce-1", "0000abcd-2", "0000abcd-", "-1", "zz-zz", "0000abcd-10000000000000000"] {
        let topic = TwinResponse { status: 200, rid, version: None, retry_after: None };
        lab.twin.answered(topic, Bytes::new(), lab.now, &mut lab.heard);
    }
    assert!(lab.said().is_empty());
}

#[test]
fn statuses_have_their_kinds_and_the_words_of_the_hub() {
    for (status, kind) in [
        (400, ErrorKind::Rejected),
        (403, ErrorKind::Rejected),
        (404, ErrorKind::Rejected),
        (412, ErrorKind::Precondition),
        (413, ErrorKind::TooLarge),
    ] {
        let mut lab = Lab::connected();
        lab.report("a");
        lab.sent();
        lab.answer(1, status, r#"{"errorCode":1,"message":"as the hub says"}"#);
        let Some(Heard::Answer(_, Err(error))) = lab.heard.pop() else { panic!("{status}") };
        assert_eq!(error.kind(), kind);
        assert!(error.detail().contains(&status.to_string()), "{error}");
        assert!(error.detail().ends_with("as the hub says"), "{error}");
    }
}

#[test]
fn requests_wait_for_a_connection_and_are_asked_again_on_the_next() {
    let mut lab = Lab::new();
    lab.get("a");
    assert!(lab.sent().is_empty() && !lab.twin.expects());
    lab.twin.connected();
    assert_eq!(lab.sent(), ["GET 1"]);
    lab.report("b");
    lab.report("c");
    lab.sent();
    lab.reconnect();
    assert!(!lab.twin.expects());
    assert_eq!(lab.sent(), ["GET 1", "b 2", "c 3"]);
    lab.answer(3, 204, "");
    // b may have been applied or not; after c it must not come again.
    lab.reconnect();
    assert_eq!(lab.said(), ["c: Some(3)", "b: Network"]);
    assert_eq!(lab.sent(), ["GET 1"]);
}

#[test]
fn each_request_ends_by_its_deadline() {
    let mut lab = Lab::new();
    lab.get("offline");
    lab.pass(59);
    assert!(lab.said().is_empty());
    assert_eq!(lab.twin.deadline(), Some(lab.now + Duration::from_secs(1)));
    lab.pass(1);
    assert_eq!(lab.said(), ["offline: Timeout"]);
    lab.twin.connected();
    lab.get("unanswered");
    lab.sent();
    lab.pass(60);
    assert_eq!(lab.said(), ["unanswered: Timeout"]);
    assert_eq!(lab.twin.deadline(), None);
}

#[test]
fn a_hub_without_capacity_is_given_time_and_then_asked_again_in_order() {
    let mut lab = Lab::connected();
    lab.report("a");
    lab.sent();
    lab.answer(1, 429, "");
    lab.report("b");
    assert!(lab.sent().is_empty());
    assert_eq!(lab.twin.deadline(), Some(lab.now + Duration::from_secs(1)));
    lab.pass(1);
    assert_eq!(lab.sent(), ["a 1", "b 2"]);
    lab.answer(1, 503, "");
    lab.pass(1);
    assert!(lab.sent().is_empty(), "the wait doubles");
    lab.pass(1);
    assert!(lab.sent().is_empty(), "the hub may be about to do b, which a would undo");
    lab.answer(2, 400, "");
    assert_eq!(lab.sent(), ["a 1"]);
    lab.answer(1, 204, "");
    assert_eq!(lab.said(), ["b: Rejected", "a: Some(1)"]);
}

#[test]
fn requests_that_are_refused_together_double_the_wait_once() {
    let mut lab = Lab::connected();
    for name in ["a", "b", "c", "d"] {
        lab.report(name);
    }
    lab.sent();
    for number in 1..=4 {
        lab.answer(number, 429, "");
    }
    assert_eq!(lab.twin.deadline(), Some(lab.now + Duration::from_secs(1)));
    lab.pass(1);
    assert_eq!(lab.sent(), ["a 1", "b 2", "c 3", "d 4"]);
    lab.answer(1, 429, "");
    lab.answer(2, 429, "");
    assert_eq!(lab.twin.deadline(), Some(lab.now + Duration::from_secs(2)));
}

#[test]
fn a_refused_report_that_was_overtaken_is_not_sent_again() {
    let mut lab = Lab::connected();
    for name in ["a", "b", "c"] {
        lab.report(name);
    }
    lab.sent();
    lab.answer(1, 429, "");
    lab.answer(2, 204, "");
    assert_eq!(lab.said(), ["a: Throttled", "b: Some(2)"]);
    lab.answer(3, 429, "");
    lab.pass(2);
    assert_eq!(lab.sent(), ["c 3"], "the last one stays the last");
}

#[test]
fn the_wait_that_the_hub_names_counts() {
    let mut lab = Lab::connected();
    lab.get("a");
    lab.sent();
    let topic = TwinResponse { status: 429, rid: "0000abcd-1", version: None, retry_after: Some(7) };
    lab.twin.answered(topic, Bytes::new(), lab.now, &mut lab.heard);
    lab.pass(6);
    assert!(lab.sent().is_empty());
    lab.pass(1);
    assert_eq!(lab.sent(), ["GET 1"]);
}

#[test]
fn at_the_deadline_a_refusal_is_told_rather_than_silence() {
    let mut lab = Lab::connected();
    lab.get("a");
    lab.sent();
    lab.answer(1, 429, "");
    lab.pass(60);
    assert_eq!(lab.said(), ["a: Throttled"]);
}

fn document(version: u64, key: u64) -> String {
    json!({"desired": {"key": key, "$version": version}, "reported": {"$version": 1}}).to_string()
}

#[test]
fn desired_properties_are_caught_up_with_after_every_connect() {
    let mut lab = Lab::connected();
    lab.twin.watch(true);
    assert_eq!(lab.sent(), ["GET 1"]);
    lab.answer(1, 200, &document(1, 1));
    lab.twin.notified(2, br#"{"key":2,"$version":2}"#, &mut lab.heard);
    assert_eq!(lab.said(), [r#"1: {"key":1}"#, r#"2: {"key":2}"#]);
    lab.reconnect();
    assert_eq!(lab.sent(), ["GET 2"]);
    lab.answer(2, 200, &document(2, 2));
    assert!(lab.said().is_empty(), "nothing was missed");
    lab.reconnect();
    lab.twin.notified(5, br#"{"other":1}"#, &mut lab.heard);
    assert_eq!(lab.sent(), ["GET 3"]);
    lab.answer(3, 200, &document(5, 5));
    assert_eq!(lab.said(), [r#"5: {"key":5}"#]);
}

#[test]
fn a_gap_asks_once_and_failures_are_tried_again() {
    let mut lab = Lab::connected();
    lab.twin.watch(true);
    lab.twin.notified(4, b"{}", &mut lab.heard);
    lab.twin.notified(5, b"{}", &mut lab.heard);
    assert_eq!(lab.sent(), ["GET 1"]);
    lab.answer(1, 500, "");
    lab.pass(1);
    assert_eq!(lab.sent(), ["GET 1"]);
    lab.answer(1, 200, &document(4, 4));
    assert_eq!(lab.sent(), ["GET 2"], "a change came after that answer");
    lab.answer(2, 200, &document(5, 5));
    assert_eq!(lab.said(), [r#"5: {"key":5}"#]);
}

#[test]
fn a_refused_report_and_those_behind_it_wait_for_the_later_ones_that_were_sent() {
    let mut lab = Lab::connected();
    lab.report("a");
    lab.report("b");
    lab.sent();
    lab.answer(1, 429, "");
    lab.report("c");
    lab.get("d");
    lab.pass(1);
    assert_eq!(lab.sent(), ["GET 4"]);
    lab.answer(2, 429, "");
    lab.pass(2);
    assert_eq!(lab.sent(), ["a 1", "b 2", "c 3"]);
}

#[test]
fn a_catch_up_that_is_not_answered_is_asked_again() {
    let mut lab = Lab::connected();
    lab.twin.watch(true);
    assert_eq!(lab.sent(), ["GET 1"]);
    lab.pass(59);
    lab.twin.notified(5, b"{}", &mut lab.heard);
    assert!(lab.sent().is_empty());
    assert_eq!(lab.twin.deadline(), Some(lab.now + Duration::from_secs(1)));
    lab.pass(1);
    assert_eq!(lab.sent(), ["GET 1"]);
    lab.answer(1, 200, &document(5, 5));
    assert_eq!((lab.said(), lab.twin.deadline()), (vec![r#"5: {"key":5}"#.to_owned()], None));
}

#[test]
fn a_catch_up_that_failed_is_asked_again_ever_more_slowly() {
    let mut lab = Lab::connected();
    lab.twin.watch(true);
    assert_eq!(lab.sent(), ["GET 1"]);
    for (number, status, body, wait) in [(1, 404, "", 1), (2, 200, "no twin", 2), (3, 200, "{}", 4)] {
        lab.answer(number, status, body);
        lab.pass(wait - 1);
        assert!(lab.sent().is_empty());
        lab.pass(1);
        assert_eq!(lab.sent(), [format!("GET {}", number + 1)]);
    }
    lab.answer(4, 400, "");
    lab.reconnect();
    assert_eq!(lab.sent(), ["GET 5"], "another connection, another hub");
    lab.answer(5, 200, &document(1, 1));
    assert_eq!(lab.said(), [r#"1: {"key":1}"#]);
}

#[test]
fn a_version_that_never_comes_is_not_asked_for_without_end() {
    let mut lab = Lab::connected();
    lab.twin.watch(true);
    lab.twin.notified(u64::MAX, b"{}", &mut lab.heard);
    let mut asked = 0;
    for _ in 0..600 {
        while let [get] = &lab.sent()[..] {
            asked += 1;
            assert_eq!(*get, format!("GET {asked}"));
            lab.answer(asked, 200, &document(7, 7));
        }
        lab.pass(1);
    }
    // In the end the hub is taken at its word.
    assert_eq!((asked, lab.said()), (6, vec![r#"7: {"key":7}"#.to_owned()]));
    lab.twin.notified(8, br#"{"key":8}"#, &mut lab.heard);
    assert_eq!(lab.said(), [r#"8: {"key":8}"#]);
}

#[test]
fn no_time_is_left_over_where_the_connection_takes_nothing() {
    let mut lab = Lab::connected();
    lab.twin.watch(true);
    lab.report("a");
    lab.sent();
    lab.answer(1, 404, "");
    lab.answer(2, 429, "");
    lab.pass(30);
    assert!(lab.twin.deadline().is_none_or(|deadline| deadline > lab.now));
}

#[test]
fn what_was_not_taken_is_to_be_tried_again() {
    let mut lab = Lab::connected();
    lab.get("a");
    lab.twin.send(lab.now, |_, _| false);
    assert!(lab.twin.is_kept_back());
    assert_eq!(lab.sent(), ["GET 1"]);
    assert!(!lab.twin.is_kept_back());
}

#[test]
fn nobody_who_does_not_watch_is_told_or_asks() {
    let mut lab = Lab::connected();
    lab.twin.notified(2, b"{}", &mut lab.heard);
    lab.twin.watch(true);
    lab.twin.watch(false);
    assert!(lab.sent().is_empty());
    lab.twin.watch(true);
    assert_eq!(lab.sent().len(), 1);
}

#[test]
fn closing_ends_everything_and_requests_are_bounded() {
    let mut lab = Lab::connected();
    for _ in 0..MOST {
        lab.get("a");
    }
    let (error, tag) = lab.twin.get("one more", lab.now).unwrap_err();
    assert_eq!((error.kind(), tag), (ErrorKind::Full, "one more"));
    lab.twin.close(&mut lab.heard);
    assert_eq!(lab.heard.len(), MOST);
    assert!(lab.said().iter().all(|said| said == "a: Closed"));
}
