//! Devices upload files.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/https.rs"]
mod https;
mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use https::{Answer, request, request_as};
use iothub_emulator::{FileOptions, Hub, Options};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use support::*;

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let mut bytes = [0; 8];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).unwrap();
        let name: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let path = std::env::temp_dir().join(format!("files-{name}"));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> Vec<String> {
        fn walk(root: &Path, below: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(below).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(root, &path, found),
                    false => found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.0, &self.0, &mut found);
        found.sort();
        found
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(directory: Option<&Directory>) -> Options {
    let files = FileOptions { directory: directory.map(|d| d.0.clone()), ..FileOptions::default() };
    Options { files, ..Options::default() }.device("d").device("e")
}

fn as_device(hub: &Hub, id: &str) -> String {
    format!("Authorization: {}", token(hub, id, 60))
}

/// A request of the device `d`.
fn post(hub: &Hub, path: &str, body: &Value) -> Answer {
    request(hub, &format!("POST {path}{API}"), &[&as_device(hub, "d")], body.to_string().as_bytes())
}

struct Begun {
    correlation: String,
    blob: String,
    query: String,
}

impl Begun {
    fn new(hub: &Hub, name: &str) -> Self {
        let answer = post(hub, "/devices/d/files", &json!({ "blobName": name }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["hostName"], format!("localhost:{}", hub.https_port()));
        assert_eq!(answer["containerName"], "device-uploads");
        assert_eq!(answer["blobName"], format!("d/{name}"));
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let query = text("sasToken").strip_prefix('?').unwrap().to_owned();
        Self { correlation: text("correlationId"), blob: text("blobName"), query }
    }

    /// A request to the blob; `more` is added to the query.
    fn send(&self, hub: &Hub, method: &str, more: &str, headers: &[&str], body: &[u8]) -> Answer {
        let blob = iothub_mqtt::hub::percent::encode(&self.blob);
        request(hub, &format!("{method} /device-uploads/{blob}?{}{more}", self.query), headers, body)
    }

    fn put(&self, hub: &Hub, body: &[u8]) -> Answer {
        self.send(hub, "PUT", "", &["x-ms-blob-type: BlockBlob"], body)
    }

    fn end(&self, hub: &Hub, success: bool) -> Answer {
        let body = json!({ "correlationId": self.correlation, "isSuccess": success, "statusCode": 200, "statusDescription": "so" });
        post(hub, "/devices/d/files/notifications", &body)
    }
}

/// IoT Hub's number for the error, which stands in a document inside the other.
fn code(answer: &Answer) -> u64 {
    let inner: Value = serde_json::from_str(answer.json()["Message"].as_str().unwrap()).unwrap();
    inner["errorCode"].as_u64().unwrap()
}

/// Azure Storage's word for the error, which stands in a header and in the body.
fn storage_code(answer: &Answer) -> &str {
    let code = answer.header("x-ms-error-code").unwrap_or_else(|| panic!("{}", answer.status));
    assert!(answer.text().contains(&format!("<Error><Code>{code}</Code><Message>")), "{}", answer.text());
    code
}

#[test]
fn a_file_is_put_reported_and_kept() {
    let directory = Directory::new();
    let (hub, events) = start(options(Some(&directory)));
    let begun = Begun::new(&hub, "log.txt");
    let put = begun.send(
        &hub,
        "PUT",
        "",
        &["x-ms-blob-type: BlockBlob", "Content-Type: text/plain", "x-ms-client-request-id: 7"],
        b"hello",
    );
    assert_eq!((put.status, put.header("x-ms-client-request-id")), (201, Some("7")));
    assert_eq!(begun.end(&hub, true).status, 204);
    let event = events.next("file");
    for (name, value) in [
        ("device", json!("d")),
        ("state", json!("uploaded")),
        ("correlation_id", json!(begun.correlation)),
        ("blob", json!("d/log.txt")),
        ("size", json!(5)),
        ("path", json!(directory.0.join("d/log.txt"))),
        ("status_code", json!(200)),
        ("status_description", json!("so")),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
    assert_eq!(std::fs::read(directory.0.join("d/log.txt")).unwrap(), b"hello");

    let read = begun.send(&hub, "GET", "", &[], b"");
    assert_eq!(
        (read.status, &read.body[..], read.header("content-type")),
        (200, &b"hello"[..], Some("text/plain"))
    );
    assert_eq!(read.header("etag"), put.header("etag"));
    // What a device wrote is no page of the hub's own site.
    assert!(read.header("content-security-policy").unwrap().starts_with("sandbox;"));
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    let part = begun.send(&hub, "GET", "", &["x-ms-range: bytes=1-2"], b"");
    assert_eq!(
        (part.status, &part.body[..], part.header("content-range")),
        (206, &b"el"[..], Some("bytes 1-2/5"))
    );
    let head = begun.send(&hub, "HEAD", "", &[], b"");
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("5")));
    drop(hub);
    assert_eq!(directory.files(), ["d/log.txt"]);
}

#[test]
fn blocks_become_a_blob_in_the_order_of_their_list() {
    let directory = Directory::new();
    let (hub, _events) = start(options(Some(&directory)));
    // As the SDK for C does it: a slash at the end, blocks without a type, everything encoded.
    let answer = post(&hub, "/devices/d/files/", &json!({ "blobName": "a/b.bin" }));
    let query = answer.json()["sasToken"].as_str().unwrap()[1..].to_owned();
    let correlation = answer.json()["correlationId"].as_str().unwrap().to_owned();
    let begun = Begun { correlation, blob: "d/a/b.bin".to_owned(), query };
    let large = vec![7; 3 * 1024 * 1024];
    for (id, body) in
        [("ICAgICAw", &b"one,"[..]), ("ICAgICAx", &large), ("ICAgICAy", b"unused"), ("ICAgICAw", b"first,")]
    {
        assert_eq!(begun.send(&hub, "PUT", &format!("&comp=block&blockid={id}"), &[], body).status, 201);
    }
    assert_eq!(begun.send(&hub, "GET", "", &[], b"").status, 404, "no blob before its list");
    let list = |ids: &[&str]| -> String {
        ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect::<Vec<_>>().concat()
    };
    let commit = |ids: &[&str]| {
        let xml =
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<BlockList>{}</BlockList>", list(ids));
        begun.send(&hub, "PUT", "&comp=blocklist", &[], xml.as_bytes())
    };
    assert_eq!(storage_code(&commit(&["ICAgICAz"])), "InvalidBlockList");
    assert_eq!(commit(&["ICAgICAx", "ICAgICAw", "ICAgICAw"]).status, 201);
    let whole = [&large[..], b"first,first,"].concat();
    assert!(begun.send(&hub, "GET", "", &[], b"").body == whole);
    assert_eq!(storage_code(&commit(&["ICAgICAw"])), "InvalidBlockList", "a list takes all blocks away");
    assert_eq!(
        post(
            &hub,
            "/devices/d/files/notifications/",
            &json!({ "correlationId": begun.correlation, "isSuccess": true })
        )
        .status,
        204
    );
    drop(hub);
    assert_eq!(directory.files(), ["d/a/b.bin"]);
}

#[test]
fn back_ends_are_told_of_uploaded_files() {
    let (hub, _events) = start(options(None));
    let owner = format!("Authorization: {}", https::owner_token(&hub));
    let path = "/messages/serviceBound/filenotifications";
    let ask =
        |method: &str, more: &str| request(&hub, &format!("{method} {path}{more}{API}"), &[&owner], b"");
    assert_eq!(ask("GET", "").status, 204);
    let failed = Begun::new(&hub, "failed");
    assert_eq!(failed.end(&hub, false).status, 204);
    let begun = Begun::new(&hub, "a b.txt");
    assert_eq!(begun.put(&hub, b"hello").status, 201);
    assert_eq!(begun.end(&hub, true).status, 204);

    let first = ask("GET", "");
    assert_eq!((first.status, first.header("iothub-deliverycount")), (200, Some("1")));
    let notice = first.json();
    let uri = format!("https://localhost:{}/device-uploads/d/a%20b.txt", hub.https_port());
    for (name, value) in [
        ("deviceId", json!("d")),
        ("blobUri", json!(uri)),
        ("blobName", json!("d/a b.txt")),
        ("blobSizeInBytes", json!(5)),
    ] {
        assert_eq!(notice[name], value, "{name}");
    }
    assert_eq!(ask("GET", "").status, 204, "it is locked");
    let token = |answer: &Answer| answer.header("etag").unwrap().trim_matches('"').to_owned();
    assert_eq!(ask("POST", &format!("/{}/abandon", token(&first))).status, 204);
    let again = ask("GET", "");
    assert_eq!((again.json(), again.header("iothub-deliverycount")), (notice, Some("2")));
    assert_eq!(ask("DELETE", &format!("/{}", token(&first))).status, 412);
    assert_eq!(ask("DELETE", &format!("/{}", token(&again))).status, 204);
    assert_eq!(ask("GET", "").status, 204);
    assert_eq!(request(&hub, &format!("GET {path}{API}"), &[&as_device(&hub, "d")], b"").status, 401);
}

#[test]
fn names_cannot_leave_the_directory() {
    let directory = Directory::new();
    let (hub, _events) = start(options(Some(&directory)));
    for (number, name) in
        ["../../escaped", "/etc/passwd", "a/./b", "%2e%2e%2fx", "back\\slash"].iter().enumerate()
    {
        let begun = Begun::new(&hub, name);
        assert_eq!(begun.put(&hub, number.to_string().as_bytes()).status, 201, "{name}");
        assert_eq!(begun.send(&hub, "GET", "", &[], b"").body, number.to_string().as_bytes(), "{name}");
        assert_eq!(begun.end(&hub, true).status, 204);
    }
    for name in ["", "a\u{0}b", "a\nb"] {
        let answer = post(&hub, "/devices/d/files", &json!({ "blobName": name }));
        assert_eq!((answer.status, code(&answer)), (400, 400_004), "{name:?}");
    }
    drop(hub);
    let mut expected =
        ["d/%2E./%2E./escaped", "d/%Z/etc/passwd", "d/a/%2E/b", "d/%252e%252e%252fx", "d/back%5Cslash"];
    expected.sort_unstable();
    assert_eq!(directory.files(), expected);
}

#[test]
fn a_name_that_goes_on_from_a_blobs_is_refused() {
    let (hub, _events) = start(options(None));
    assert_eq!(Begun::new(&hub, "a").put(&hub, b"x").status, 201);
    assert_eq!(storage_code(&Begun::new(&hub, "a/b").put(&hub, b"x")), "InvalidResourceName");
    assert_eq!(Begun::new(&hub, "c/d").put(&hub, b"x").status, 201);
    assert_eq!(storage_code(&Begun::new(&hub, "c").put(&hub, b"x")), "InvalidResourceName");
}

#[test]
fn only_the_device_itself_begins_and_ends_its_uploads() {
    let (key, certificate, thumbprint) = self_signed();
    let (hub, events) = start(options(None).x509_device("x", &thumbprint));
    let body = br#"{"blobName":"f"}"#;
    let begin = |headers: &[&str]| request(&hub, &format!("POST /devices/d/files{API}"), headers, body);
    let other = as_device(&hub, "e");
    let expired = format!("Authorization: {}", token(&hub, "d", -600));
    for headers in [&[][..], &["Authorization: x"], &[other.as_str()], &[expired.as_str()]] {
        let answer = begin(headers);
        assert_eq!((answer.status, code(&answer)), (401, 401_003), "{headers:?}");
    }
    assert_eq!(begin(&[&format!("Authorization: {}", https::owner_token(&hub))]).status, 200);

    // The correlation id in the path, as the SDK for Node has it.
    let begun = Begun::new(&hub, "f");
    let id = iothub_mqtt::hub::percent::encode(&begun.correlation);
    let failed = br#"{"isSuccess":false,"statusCode":500,"statusDescription":"disk"}"#;
    let line = |device: &str| format!("POST /devices/{device}/files/notifications/{id}{API}");
    let answer = request(&hub, &line("e"), &[&other], failed);
    assert_eq!((answer.status, code(&answer)), (400, 400_015), "another device's");
    assert_eq!(request(&hub, &line("d"), &[&as_device(&hub, "d")], failed).status, 204);
    let event = events.next("file");
    assert_eq!(
        (&event["state"], &event["size"], &event["status_description"]),
        (&json!("failed"), &json!(null), &json!("disk"))
    );
    let answer = request(&hub, &line("d"), &[&as_device(&hub, "d")], failed);
    assert_eq!(code(&answer), 400_015, "ended already");

    let shown = || Tls {
        identity: Some((certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())),
        ..Tls::default()
    };
    let line = format!("POST /devices/x/files{API}");
    assert_eq!(request_as(&hub, shown(), &line, &[], body).status, 200);
    assert_eq!(request(&hub, &line, &[], body).status, 401);
}

#[test]
fn limits_and_times_are_kept() {
    let (hub, _events) = start(options(None));
    let all: Vec<Begun> = (0..10).map(|number| Begun::new(&hub, &number.to_string())).collect();
    let refused = post(&hub, "/devices/d/files", &json!({ "blobName": "more" }));
    assert_eq!((refused.status, code(&refused)), (403, 403_006));
    let claimed = all[0].end(&hub, true);
    assert_eq!((claimed.status, code(&claimed)), (400, 400_019), "no blob was put");
    assert_eq!(all[0].end(&hub, false).status, 204);
    Begun::new(&hub, "more");

    let files = FileOptions { sas_ttl_s: 0, ..FileOptions::default() };
    let (hub, _events) = start(Options { files, ..Options::default() }.device("d"));
    let late = Begun::new(&hub, "late");
    assert_eq!(storage_code(&late.put(&hub, b"x")), "AuthenticationFailed");
    assert_eq!(code(&late.end(&hub, false)), 400_016);

    let files = FileOptions { enabled: false, ..FileOptions::default() };
    let (hub, _events) = start(Options { files, ..Options::default() }.device("d"));
    assert_eq!(code(&post(&hub, "/devices/d/files", &json!({ "blobName": "x" }))), 400_014);
}

#[test]
fn the_store_refuses_as_azure_storage_does() {
    let (hub, _events) = start(options(None));
    let begun = Begun::new(&hub, "f");
    let other = Begun { blob: "d/other".to_owned(), query: begun.query.clone(), correlation: String::new() };
    let bare = Begun { blob: begun.blob.clone(), query: String::new(), correlation: String::new() };
    let typed = ["x-ms-blob-type: BlockBlob"];
    for (answer, status, code) in [
        (bare.send(&hub, "GET", "", &[], b""), 401, "NoAuthenticationInformation"),
        (other.send(&hub, "PUT", "", &typed, b"x"), 403, "AuthenticationFailed"),
        (begun.send(&hub, "GET", "", &[], b""), 404, "BlobNotFound"),
        (begun.send(&hub, "DELETE", "", &[], b""), 403, "AuthorizationPermissionMismatch"),
        (begun.send(&hub, "POST", "", &[], b""), 405, "UnsupportedHttpVerb"),
        (begun.send(&hub, "PUT", "", &[], b"x"), 400, "MissingRequiredHeader"),
        (begun.send(&hub, "PUT", "", &["x-ms-blob-type: PageBlob"], b"x"), 400, "UnsupportedHeader"),
        (begun.send(&hub, "PUT", "&comp=lease", &typed, b"x"), 400, "InvalidQueryParameterValue"),
        (begun.send(&hub, "PUT", "&comp=block", &typed, b"x"), 400, "InvalidQueryParameterValue"),
        (begun.send(&hub, "PUT", "&comp=block&blockid=%21", &typed, b"x"), 400, "InvalidQueryParameterValue"),
        (begun.send(&hub, "PUT", "&comp=blocklist", &[], b"<a/>"), 400, "InvalidXmlDocument"),
    ] {
        assert_eq!((answer.status, storage_code(&answer)), (status, code));
    }
    assert_eq!(begun.send(&hub, "PUT", "&comp=block&blockid=QUE=", &[], b"x").status, 201);
    let answer = begun.send(&hub, "PUT", "&comp=block&blockid=QUFBQQ==", &[], b"x");
    assert_eq!(storage_code(&answer), "InvalidBlobOrBlock");

    let first = begun.put(&hub, b"first");
    let new = ["x-ms-blob-type: BlockBlob", "If-None-Match: *"];
    assert_eq!(storage_code(&begun.send(&hub, "PUT", "", &new, b"x")), "BlobAlreadyExists");
    let changed = ["x-ms-blob-type: BlockBlob", "If-Match: \"0x1\""];
    assert_eq!(storage_code(&begun.send(&hub, "PUT", "", &changed, b"x")), "ConditionNotMet");
    let same = format!("If-Match: {}", first.header("etag").unwrap());
    assert_eq!(begun.send(&hub, "PUT", "", &[typed[0], &same], b"second").status, 201);
    assert_eq!(begun.send(&hub, "GET", "", &[], b"").body, b"second");
    let beyond = begun.send(&hub, "GET", "", &["Range: bytes=6-"], b"");
    assert_eq!((beyond.status, storage_code(&beyond)), (416, "InvalidRange"));
}

#[test]
fn what_ends_early_is_no_blob() {
    let directory = Directory::new();
    let (hub, _events) = start(options(Some(&directory)));
    let begun = Begun::new(&hub, "f");
    assert_eq!(begun.put(&hub, b"whole").status, 201);
    let mut stream = secure(&hub, hub.https_address(), Tls::default());
    let blob = iothub_mqtt::hub::percent::encode(&begun.blob);
    let head = format!(
        "PUT /device-uploads/{blob}?{} HTTP/1.1\r\nHost: x\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 100\r\n\r\n",
        begun.query
    );
    stream.write_all(&[head.as_bytes(), b"only a part"].concat()).unwrap();
    stream.flush().unwrap();
    drop(stream);
    assert_eq!(begun.send(&hub, "GET", "", &[], b"").body, b"whole");
    drop(hub);
    assert_eq!(directory.files(), ["d/f"]);
    assert_eq!(std::fs::read(directory.0.join("d/f")).unwrap(), b"whole");
}

#[test]
fn a_device_that_is_made_again_has_begun_nothing() {
    let (hub, _events) = start(options(None));
    let begun: Vec<Begun> = (0..10).map(|n| Begun::new(&hub, &n.to_string())).collect();
    assert_eq!(begun[0].put(&hub, b"x").status, 201);
    let full = post(&hub, "/devices/d/files", &json!({ "blobName": "more" }));
    assert_eq!((full.status, code(&full)), (403, 403_006));
    hub.delete("d").unwrap();
    hub.create("d").unwrap();
    let ended = begun[0].end(&hub, true);
    assert_eq!((ended.status, code(&ended)), (400, 400_015));
    Begun::new(&hub, "more");
}
