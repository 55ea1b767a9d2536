//! The programs of `tests/cpp`, over the C++ header.

use std::path::{Path, PathBuf};
use std::process::Command;

use iothub_emulator::{CloudMessage, Fault};
use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};

use crate::build::{Language, Link, build, compiler, root};
use crate::cloud;
use crate::credentials::{self, asked, hex};
use crate::lab::{DEVICE, Lab, PATIENCE};
use crate::run::{Running, Under};

const SANITIZERS: &str = "-fsanitize=address,undefined";

/// Compiles a source; the program.
pub(crate) fn compile(mut compiler: Command, source: &Path, flags: &[&str], link: Link) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cpp");
    std::fs::create_dir_all(&folder).unwrap();
    let stem = source.file_stem().unwrap().to_string_lossy();
    let program = folder.join(format!("{stem}{}", flags.concat().replace(['=', ','], "-")));
    compiler.args(flags).arg("-I").arg(root().join("bindings/cpp")).arg(source);
    build(compiler, link, &program);
    program
}

/// Tells `story` for `tests/cpp/{name}.cpp` with each standard: plainly, under valgrind, and with sanitizers.
fn every_way_with(name: &str, flags: &[&str], mut story: impl FnMut(&Lab, &Path, Under)) {
    let source = root().join(format!("tests/cpp/{name}.cpp"));
    let compile =
        |more: &[&str]| compile(compiler(Language::Cpp), &source, &[flags, more].concat(), Link::Shared);
    let program = compile(&["-std=c++17"]);
    story(&Lab::new(), &program, Under::Nothing);
    story(&Lab::new(), &program, Under::Valgrind);
    story(&Lab::new(), &compile(&["-std=c++20", SANITIZERS, "-fno-sanitize-recover=all"]), Under::Nothing);
}

fn every_way(name: &str, story: impl FnMut(&Lab, &Path, Under)) {
    every_way_with(name, &[], story);
}

fn passes(name: &str) {
    every_way(name, |lab, program, under| {
        Running::start(program, &[], under, lab, &[]).end();
    });
}

#[test]
fn futures() {
    passes("futures");
}

#[test]
fn options() {
    passes("options");
}

#[test]
fn callables() {
    passes("callables");
}

#[test]
fn thrower() {
    every_way("thrower", |lab, program, under| {
        // It leaves in the middle of everything.
        let said = Running::start(program, &[], under.without_leaks(), lab, &[]).end();
        assert_eq!(said, ["terminated"]);
    });
}

#[test]
fn manual() {
    every_way("manual", |lab, program, under| {
        lab.hub.send_c2d(DEVICE, CloudMessage::new("to be received")).unwrap();
        Running::start(program, &[], under, lab, &[]).end();
    });
}

/// As the program in C, with what a callable has in place of a status.
#[test]
fn credentials() {
    every_way("credentials", |lab, program, under| {
        of_a_signer(lab, program, under);
        credentials::of_a_token_source(lab, program, under);
        credentials::in_files(program, under);
        of_a_tls_signer(program, under);
        credentials::of_iot_edge(lab, program, under);
    });
}

fn of_a_signer(lab: &Lab, program: &Path, under: Under) {
    let mut running = credentials::start(lab, program, under, "signer", &[]);
    for (answer, told) in [
        ("locked", "the SAS signer failed: the callback returned IOTHUB_E_AUTH"),
        ("too long", "the callback says that it wrote 1025 bytes where there is room for 1024"),
        ("00", "the SAS signer gave 1 bytes"),
    ] {
        asked(&running.line());
        running.say(answer);
        let status = running.line();
        assert!(status.contains(told), "{status}");
    }
    let (_, text) = asked(&running.line());
    running.say(&hex(&credentials::key(lab).sign(&text)));
    credentials::ends(lab, running, "signer");
}

fn of_a_tls_signer(program: &Path, under: Under) {
    let owned = KeyPair::generate().unwrap();
    let (lab, certificate) = credentials::certified(&owned);
    let mut running = credentials::start(&lab, program, under, "tls", &[("CERT", certificate)]);
    let (scheme, message) = asked(&running.line());
    assert_eq!(scheme, 0x0403);
    running.say(&hex(&owned.sign(&message).unwrap()));
    credentials::ends(&lab, running, "tls");
}

fn codes_with(flags: &[&str]) {
    every_way_with("codes", flags, |lab, program, under| {
        lab.hub.send_c2d(DEVICE, CloudMessage::new("to be received")).unwrap();
        Running::start(program, &[], under, lab, &[]).end();
    });
}

#[test]
fn codes() {
    codes_with(&[]);
}

#[test]
fn codes_without_exceptions() {
    codes_with(&["-fno-exceptions", "-fno-rtti"]);
}

#[test]
fn c2d() {
    every_way("c2d", |lab, program, under| {
        for (body, id) in [("now", "id-now"), ("later", "id-later")] {
            let message = CloudMessage::new(body).with_id(id);
            let message = message.with_property("grad", Some("21 °C & more=/")).with_property("null", None);
            lab.hub.send_c2d(DEVICE, message).unwrap();
        }
        let mut running = Running::start(program, &[], under, lab, &[]);
        running.hear("received");
        cloud::settled(lab, "id-now");
        running.say("settle");
        cloud::settled(lab, "id-later");
        running.say("end");
        running.end();
    });
}

#[test]
fn device() {
    every_way("device", |lab, program, under| {
        lab.hub.update_desired(DEVICE, &json!({"interval": 5})).unwrap();
        let mut running = Running::start(program, &[], under, lab, &[]);
        let call = |name: &str, payload: Option<Value>| {
            lab.hub.call_method(DEVICE, name, payload.as_ref(), PATIENCE, PATIENCE).unwrap()
        };
        running.hear("methods");
        assert_eq!(call("echo", Some(json!({"delay": 5}))), (200, json!({"delay": 5})));
        assert_eq!(call("late", None), (202, Value::Null));
        lab.hub.fault(&Fault::new("drop", DEVICE)).unwrap();
        lab.event("disconnected");
        lab.hub.update_desired(DEVICE, &json!({"interval": 7})).unwrap();
        running.say("cut");
        running.hear("no handler");
        assert_eq!(call("echo", None).0, 404);
        running.say("end");
        running.end();
    });
}

#[test]
fn module() {
    every_way("module", cloud::of_a_module);
}
