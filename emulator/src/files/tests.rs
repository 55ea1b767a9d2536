#![allow(clippy::unwrap_used, clippy::panic)]

use jiff::SignedDuration;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

const NOW: i64 = 1_800_000_000;

fn files() -> Files {
    let files = Files::new(&FileOptions::default()).unwrap();
    files.set_host("localhost", 8443);
    files
}

/// Another hub's.
fn files_of_another() -> Files {
    files()
}

#[test]
fn a_signature_is_good_for_one_blob_one_hour_and_no_deletion() {
    let files = files();
    let begun = files.begin("d", "a/b c+.txt", at(NOW)).unwrap();
    assert_eq!((begun.host.as_str(), begun.blob.as_str()), ("localhost:8443", "d/a/b c+.txt"));
    let query = begun.token.strip_prefix('?').unwrap();
    assert!(query.starts_with("sv=2018-03-28&sr=b&sig=") && query.ends_with("&sp=rw"), "{query}");
    let later = at(NOW) + SignedDuration::from_secs(3599);
    let check = |blob: &str, query: &str, access, now| files.check(blob, query, access, now);
    for access in [Access::Read, Access::Write] {
        assert_eq!(check(&begun.blob, query, access, later), Ok(()));
    }
    assert_eq!(check(&begun.blob, &format!("{query}&comp=block&blockid=QQ=="), Access::Write, later), Ok(()));
    assert_eq!(check(&begun.blob, query, Access::Delete, later), Err(Denied::Permission));
    assert_eq!(check(&begun.blob, query, Access::Write, at(NOW + 3600)), Err(Denied::Expired));
    assert_eq!(check("d/other", query, Access::Read, later), Err(Denied::Signature));
    assert_eq!(check(&begun.blob, "", Access::Read, later), Err(Denied::Missing));
    let longer = query.replace("sp=rw", "sp=rwd");
    assert_eq!(check(&begun.blob, &longer, Access::Delete, later), Err(Denied::Signature));
    let (before, after) = query.split_once("&se=").unwrap();
    let future = format!("{before}&se=2099-01-01T00%3A00%3A00Z{}", &after[after.find('&').unwrap()..]);
    assert_eq!(check(&begun.blob, &future, Access::Read, later), Err(Denied::Signature));
    assert_eq!(files_of_another().check(&begun.blob, query, Access::Read, later), Err(Denied::Signature));
}

#[test]
fn names_are_checked_and_limits_kept() {
    let files = files();
    let long = "x".repeat(1023);
    for name in ["", "a\0b", "a\nb", &long, &"a/".repeat(254), &format!("{}/x", "y".repeat(256))] {
        assert_eq!(files.begin("d", name, at(NOW)).unwrap_err().code, 400_004, "{name:?}");
    }
    for number in 0..10 {
        assert!(files.begin("d", &format!("../{number}"), at(NOW)).is_ok());
    }
    let refused = files.begin("d", "x", at(NOW)).unwrap_err();
    assert_eq!((refused.status, refused.code), (403, 403_006));
    assert!(files.begin("e", "x", at(NOW)).is_ok());

    let none = Files::new(&FileOptions { enabled: false, ..FileOptions::default() }).unwrap();
    assert_eq!(none.begin("d", "x", at(NOW)).unwrap_err().code, 400_014);
}

#[test]
fn the_standard_port_is_not_named() {
    let files = Files::new(&FileOptions::default()).unwrap();
    files.set_host("hub.example", 443);
    assert_eq!(files.begin("d", "x", at(NOW)).unwrap().host, "hub.example");
}

#[test]
fn options_are_read_with_their_defaults() {
    let read = |value| serde_json::from_value::<FileOptions>(value);
    assert_eq!(read(serde_json::json!({})).unwrap(), FileOptions::default());
    let options = read(serde_json::json!({ "directory": "up", "sas-ttl-s": 60 })).unwrap();
    assert_eq!((options.directory, options.sas_ttl_s), (Some("up".into()), 60));
    assert!(read(serde_json::json!({ "sas_ttl": 60 })).is_err());
}
