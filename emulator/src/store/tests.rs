#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::scratch::ScratchDir;
use crate::{CloudMessage, Hub, Options};

fn options(dir: &ScratchDir) -> Options {
    // Another directory of keys each time: what is kept holds its own.
    Options { state: Some(dir.path().join("state")), ..Options::default() }
}

#[test]
fn everything_is_there_after_a_restart_and_wins() {
    let dir = ScratchDir::new().unwrap();
    let first = Hub::start(options(&dir).device("d").module("d", "m").x509_ca_device("c")).unwrap();
    let strings = |hub: &Hub| ["d", "d/m", "c"].map(|id| hub.connection_string(id).unwrap());
    let before = strings(&first);
    let desired = serde_json::json!({ "rate": 5, "old": { "a": 1 } });
    first.update_desired("d", &desired).unwrap();
    first.update_desired("d/m", &serde_json::json!({ "x": "y" })).unwrap();
    first.send_c2d("d", CloudMessage::new(vec![0, 255]).with_id("1").with_property("k", None)).unwrap();
    first.send_c2d("d", CloudMessage::new("two").with_id("2")).unwrap();
    let twins = ["d", "d/m", "c"].map(|id| first.twin(id).unwrap());
    drop(first);

    let second =
        Hub::start(options(&dir).device("d").device("new").x509_device("c", &"A".repeat(40))).unwrap();
    assert_eq!(strings(&second), before);
    assert_eq!(["d", "d/m", "c"].map(|id| second.twin(id).unwrap()), twins);
    assert_eq!(second.twin("d").unwrap()["cloudToDeviceMessageCount"], 2);
    let ids: Vec<_> = second.identities().iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["c", "d", "d/m", "new"]);
    let made_later = second.connection_string("new").unwrap();
    drop(second);
    let third = Hub::start(options(&dir)).unwrap();
    assert_eq!(third.connection_string("new").unwrap(), made_later);
}

#[test]
fn a_row_holds_an_entry_whole() {
    let dir = ScratchDir::new().unwrap();
    let hub = Hub::start(options(&dir).device("d")).unwrap();
    hub.send_c2d("d", CloudMessage::new(vec![0, 255]).with_id("1")).unwrap();
    drop(hub);
    let row = || {
        let store = Store::open(&dir.path().join("state")).unwrap();
        let mut rows = Vec::new();
        let each = |id: &str, row: &[u8]| {
            rows.push((id.to_owned(), serde_json::from_slice::<serde_json::Value>(row).unwrap()));
            Ok(())
        };
        store.for_each(each).unwrap();
        rows
    };
    let before = row();
    drop(Hub::start(options(&dir)).unwrap());
    assert_eq!(row(), before, "read and written again, nothing has changed");
    assert_eq!(before[0].1["queue"][0]["delivery"]["body"], "AP8=");
}

#[test]
fn modules_without_their_device_are_left_out() {
    let dir = ScratchDir::new().unwrap();
    drop(Hub::start(options(&dir).device("d").module("d", "m")).unwrap());
    Store::open(&dir.path().join("state")).unwrap().write(&[(Identity::device("d"), None)]).unwrap();
    let hub = Hub::start(options(&dir)).unwrap();
    assert_eq!(hub.identities(), []);
    // Another device of this name does not get the modules of the one before.
    hub.create("d").unwrap();
    drop(hub);
    assert_eq!(Hub::start(options(&dir)).unwrap().identities(), [Identity::device("d")]);
}

#[test]
fn the_directory_is_for_one_hub_and_one_owner() {
    let dir = ScratchDir::new().unwrap();
    let hub = Hub::start(options(&dir)).unwrap();
    let error = Hub::start(options(&dir)).unwrap_err().to_string();
    assert!(error.starts_with("--state ") && error.ends_with("another hub runs with it"), "{error}");
    let state = dir.path().join("state");
    for (path, mode) in [(state.clone(), 0o700), (state.join(FILE), 0o600)] {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
    }
    drop(hub);
    // A hub that does not start lets go of it.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mqtt_port = taken.local_addr().unwrap().port();
    Hub::start(Options { mqtt_port, ..options(&dir) }).unwrap_err();
    drop(Hub::start(options(&dir)).unwrap());

    std::fs::write(state.join(FILE), "nonsense ".repeat(1000)).unwrap();
    let error = Hub::start(options(&dir)).unwrap_err().to_string();
    assert!(error.contains("hub.redb cannot be read"), "{error}");
}

#[test]
fn another_version_is_refused() {
    let dir = ScratchDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let write = store.database().unwrap().begin_write().unwrap();
    write.open_table(ABOUT).unwrap().insert("schema", SCHEMA + 1).unwrap();
    write.commit().unwrap();
    drop(store);
    let error = Store::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("another version of this program"), "{error}");
}

#[test]
fn a_ruined_file_is_an_error() {
    let dir = ScratchDir::new().unwrap();
    let state = dir.path().join("state");
    drop(Hub::start(options(&dir).device("d").module("d", "m")).unwrap());
    let whole = std::fs::read(state.join(FILE)).unwrap();
    let mut refused = 0;
    for page in (1..whole.len() / 4096).step_by(7) {
        let mut ruined = whole.clone();
        ruined[page * 4096..(page + 1) * 4096].fill(0);
        // Most pages hold nothing.
        if ruined == whole {
            continue;
        }
        std::fs::write(state.join(FILE), &ruined).unwrap();
        let used = Store::open(&state).and_then(|mut store| {
            store.read(&Settings::default())?;
            store.write(&[(Identity::device("d"), Some(vec![b'x'; 10_000]))]).map_err(StartError::new)
        });
        refused += u32::from(used.is_err());
    }
    assert!(refused > 0);
}
