#![allow(clippy::unwrap_used)]

use std::sync::mpsc::Receiver;

use serde_json::Value;

use super::*;
use crate::auth::{Authority, Credential, Granted};
use crate::broker::Parts;
use crate::broker::links::{Arrival, Attached};
use crate::dps::{Dps, DpsOptions};
use crate::files::{FileOptions, Files};
use crate::registry::Registry;
use crate::routing::{Routing, RoutingOptions};
use crate::settings::Settings;

/// A hub with a device and a module of it, both connected.
fn hub() -> (Broker, Receiver<Value>, Identity, Attached, Identity, Attached) {
    let settings = Settings::default();
    let authority = Authority {
        hosts: Vec::new(),
        policies: Vec::new(),
        roots: crate::chain::Roots::default(),
        tokens: (&settings).into(),
    };
    let no_keys = |_: &str| Err("no enrollment needs one".to_owned());
    let broker = Broker::new(Parts {
        authority,
        registry: Registry::default(),
        routes: Vec::new(),
        routing: Routing::new(&RoutingOptions::default()).unwrap(),
        files: Files::new(&FileOptions::default()).unwrap(),
        dps: Dps::new(&DpsOptions::default(), "0ne".to_owned(), "hub", no_keys).unwrap(),
        settings,
    });
    let events = broker.events.values();
    let (device, module) = (Identity::device("d"), Identity::module("d", "m"));
    for identity in [&device, &module] {
        broker.create(identity, Record::new(Credential::Authority)).unwrap();
    }
    let connect = |identity: &Identity| broker.attach(identity, arrival()).unwrap();
    let (of_device, of_module) = (connect(&device), connect(&module));
    (broker, events, device, of_device, module, of_module)
}

fn arrival() -> Arrival {
    Arrival {
        granted: Granted { method: String::new(), until: None },
        clean_session: false,
        will: None,
        model_id: None,
        protocol: "mqtt",
    }
}

fn ends(events: &Receiver<Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ended = events.try_iter().filter(|event| event["event"] == "disconnected");
    ended.map(|event| (text(&event["code"]), text(&event["reason"])[..6].to_owned())).collect()
}

fn is_cut(attached: &mut Attached) -> bool {
    attached.commands.try_next().is_err()
}

fn pair(code: &str, number: &str) -> (String, String) {
    (code.to_owned(), number.to_owned())
}

#[test]
fn disabling_a_device_cuts_it_and_its_modules() {
    let (broker, events, device, mut of_device, module, mut of_module) = hub();
    broker
        .change(&device, None, |record| {
            record.enabled = false;
            Ok(())
        })
        .unwrap();
    assert!(is_cut(&mut of_device) && is_cut(&mut of_module));
    assert_eq!(ends(&events), [pair("disabled", "403012"), pair("disabled", "403012")]);
    for identity in [&device, &module] {
        let refused = broker.admit(identity, None, None, 0).unwrap_err();
        assert_eq!((refused.code, &refused.reason[..6]), ("disabled", "403012"));
    }
}

#[test]
fn disabling_a_module_leaves_its_device() {
    let (broker, _events, _, mut of_device, module, mut of_module) = hub();
    broker
        .change(&module, None, |record| {
            record.enabled = false;
            Ok(())
        })
        .unwrap();
    assert!(!is_cut(&mut of_device) && is_cut(&mut of_module));
}

#[test]
fn deleting_a_device_cuts_it_and_its_modules() {
    let (broker, events, device, mut of_device, module, mut of_module) = hub();
    broker.delete(&device, None).unwrap();
    assert!(is_cut(&mut of_device) && is_cut(&mut of_module));
    assert_eq!(ends(&events), [pair("unknown_device", "404001"), pair("unknown_device", "404001")]);
    for identity in [&device, &module] {
        assert_eq!(broker.admit(identity, None, None, 0).unwrap_err().code, "unknown_device");
    }
}

#[test]
fn a_change_with_another_etag_is_a_failed_precondition() {
    let (broker, _events, device, mut of_device, ..) = hub();
    let refused = broker.delete(&device, Some("\"other\"")).unwrap_err();
    assert_eq!((refused.status, refused.code), (412, 412_001));
    assert!(!is_cut(&mut of_device));
    assert!(broker.change(&device, Some("\"*\""), |_| Ok(())).is_ok());
}

#[test]
fn who_is_disabled_between_the_check_and_the_connection_is_not_connected() {
    let (broker, _events, device, _, module, _) = hub();
    let disable = |record: &mut Record| {
        record.enabled = false;
        Ok(())
    };
    broker.change(&device, None, disable).unwrap();
    for identity in [&device, &module] {
        assert_eq!(broker.attach(identity, arrival()).err().unwrap().code, "disabled");
        assert!(!broker.is_connected(identity));
    }
    broker.delete(&device, None).unwrap();
    assert_eq!(broker.attach(&device, arrival()).err().unwrap().code, "unknown_device");
}

#[test]
fn asking_for_feedback_changes_nobody_whose_messages_live() {
    let (broker, _events, device, ..) = hub();
    broker.send_c2d("d", crate::CloudMessage::new("x")).unwrap();
    let (wake, _woken) = std::sync::mpsc::sync_channel(1);
    broker.state().registry.watch(wake);
    let changed = || broker.state().registry.take_changed(10).len();
    assert_eq!(changed(), 2, "everybody at first");
    assert!(broker.receive_feedback().is_none());
    assert_eq!(changed(), 0);
    let over =
        crate::CloudMessage { expiry: Some(jiff::Timestamp::UNIX_EPOCH), ..crate::CloudMessage::new("y") };
    broker.send_c2d("d", over).unwrap();
    changed();
    assert!(broker.receive_feedback().is_none());
    assert_eq!((changed(), broker.look(&device, |entry| entry.queue.len()).unwrap()), (1, 1));
}
