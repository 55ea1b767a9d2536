//! What the C++ header offers, in every dialect, and what is shown of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use iothub_emulator::{CloudMessage, Options};

use crate::build::{Language, Link, WARNINGS, compiler, root};
use crate::cpp::compile;
use crate::lab::{DEVICE, Lab, usual};
use crate::run::{Running, Under};

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// All parts of the header.
fn header() -> String {
    let parts = std::fs::read_dir(root().join("bindings/cpp/iothub_mqtt")).unwrap();
    parts.map(|part| std::fs::read_to_string(part.unwrap().path()).unwrap()).collect()
}

fn words(text: &str) -> std::collections::HashSet<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect()
}

#[test]
fn everything_of_the_c_header_is_there() {
    let (header, symbols, c) = (header(), text("ffi/symbols.txt"), text("include/iothub_mqtt.h"));
    let header = words(&header);
    let constants = c.lines().filter_map(|line| line.strip_prefix("#define ")?.split_whitespace().next());
    let others = ["IOTHUB_MQTT_H", "IOTHUB_API"];
    let constants = constants.filter(|name| !others.contains(name) && !name.starts_with("IOTHUB_VERSION"));
    let missing: Vec<&str> = symbols.lines().chain(constants).filter(|name| !header.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn clang() -> Option<Command> {
    Command::new("clang++").arg("--version").output().is_ok().then(|| Command::new("clang++"))
}

fn checks(mut compiler: Command, flags: &[&str], sources: &[PathBuf]) {
    compiler.args(WARNINGS).arg("-fsyntax-only").args(flags).args(sources);
    compiler.arg("-I").arg(root().join("include")).arg("-I").arg(root().join("bindings/cpp"));
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{compiler:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn it_is_good_in_every_dialect() {
    // What only some programs ask for, on top of what all are compiled with.
    let more = ["-Wshadow", "-Wconversion", "-Wextra-semi", "-Wnon-virtual-dtor", "-Wold-style-cast"];
    let twice = sources().join("twice.cpp");
    std::fs::write(&twice, "#include <iothub_mqtt.hpp>\n#include <iothub_mqtt.hpp>\n").unwrap();
    let dialects = [
        &["-std=c++17"][..],
        &["-std=c++20"],
        &["-std=c++17", "-fno-exceptions"],
        &["-std=c++20", "-fno-exceptions", "-fno-rtti"],
    ];
    for dialect in dialects {
        let flags = [dialect, &more].concat();
        checks(compiler(Language::Cpp), &flags, std::slice::from_ref(&twice));
        if let Some(clang) = clang() {
            checks(clang, &flags, std::slice::from_ref(&twice));
        }
    }
}

/// Every function template is used by one of them.
#[test]
fn clang_takes_the_programs() {
    let names = [
        "futures",
        "options",
        "credentials",
        "callables",
        "manual",
        "c2d",
        "device",
        "module",
        "codes",
        "version",
    ];
    let programs = names.map(|name| root().join(format!("tests/cpp/{name}.cpp")));
    match clang() {
        Some(clang) => checks(clang, &["-std=c++17"], &programs),
        None => println!("there is no clang++"),
    }
}

/// For sources that tests write.
fn sources() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cpp-sources");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn example() {
    let flags = ["-std=c++17"];
    let program =
        compile(compiler(Language::Cpp), &root().join("examples/cpp/telemetry.cpp"), &flags, Link::Shared);
    let lab = Lab::new();
    let message = CloudMessage::new("hello").with_property("from", Some("the back-end"));
    lab.hub.send_c2d(DEVICE, message).unwrap();
    let more = [
        ("IOTHUB_CONNECTION_STRING", lab.hub.connection_string(DEVICE).unwrap()),
        ("IOTHUB_PORT", lab.hub.mqtt_port().to_string()),
        ("IOTHUB_TRUSTED_ROOTS", lab.hub.ca_path().display().to_string()),
    ];
    let said = Running::start(&program, &[], Under::Valgrind, &lab, &more).end();
    for line in
        ["state: connected, cause: none ", "received: hello", "  from = the back-end", "acknowledged: 3"]
    {
        assert!(said.iter().any(|said| said == line), "{line:?} is not in {said:?}");
    }
    assert_eq!(lab.bodies(), ["{\"t\":21.5}", "{\"t\":21.7}", "{\"t\":35.0}"]);
}

#[test]
fn readme() {
    let readme = text("bindings/cpp/README.md");
    let snippets = readme.split("```cpp\n").skip(1).filter_map(|rest| rest.split("```").next());
    let flags = [&["-std=c++17"][..], &["-std=c++17", "-fno-exceptions"]];
    let programs = snippets.zip(flags).enumerate().map(|(number, (snippet, flags))| {
        let source = sources().join(format!("readme{number}.cpp"));
        std::fs::write(&source, snippet).unwrap();
        compile(compiler(Language::Cpp), &source, flags, Link::Shared)
    });
    let programs: Vec<_> = programs.collect();

    // A loopback address of its own, since the snippet names no port.
    let address = "127.0.0.84";
    let (host, name) = (address.into(), address.into());
    let lab = Lab::with(usual(Options { host, name, mqtt_port: 8883, ..Options::default() }));
    let more = [
        ("IOTHUB_CONNECTION_STRING", lab.hub.connection_string(DEVICE).unwrap()),
        ("SSL_CERT_FILE", lab.hub.ca_path().display().to_string()),
    ];
    let said = Running::start(&programs[0], &[], Under::Nothing, &lab, &more).end();
    assert!(said[0].starts_with("{\"desired\""), "{said:?}");
    assert_eq!(lab.bodies(), ["{\"t\":21.5}"]);

    let output = Command::new(&programs[1]).env("LD_LIBRARY_PATH", crate::build::library()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.starts_with("IOTHUB_E_ARGUMENT: ") && errors.contains("DeviceId"), "{output:?}");
}
