//! What the shared library shows to the linker.

use std::process::Command;

use crate::build::{library, root};

fn output(program: &str, arguments: &[&str]) -> String {
    let library = library().join("libiothub_mqtt.so");
    let output = Command::new(program).args(arguments).arg(library).output().unwrap();
    assert!(output.status.success(), "{program} fails");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn exported_symbols_are_those_of_the_list_and_of_the_header() {
    let listed = std::fs::read_to_string(root().join("ffi/symbols.txt")).unwrap();
    let listed: Vec<&str> = listed.lines().collect();
    let exported = output("nm", &["--dynamic", "--defined-only", "--format=posix"]);
    let exported: Vec<&str> = exported.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(exported, listed, "if that is meant: the left side is ffi/symbols.txt");

    let header = std::fs::read_to_string(root().join("include/iothub_mqtt.h")).unwrap();
    let declarations = header.lines().filter(|line| line.starts_with("IOTHUB_API "));
    let name = |line: &str| {
        let name = line.split('(').next()?.rsplit([' ', '*']).next()?;
        Some(name.to_owned())
    };
    let mut declared: Vec<String> = declarations.filter_map(name).collect();
    declared.sort();
    assert_eq!(declared, listed);
}

#[test]
fn the_library_stays_loaded_and_needs_only_the_system() {
    let dynamic = output("readelf", &["--dynamic", "--wide"]);
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    assert!(!dynamic.contains("RUNPATH") && !dynamic.contains("RPATH"), "{dynamic}");
    for needed in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
        let known = ["libc.so", "libgcc_s.so", "ld-linux", "libm.so", "libdl.so", "libpthread.so"];
        assert!(known.iter().any(|library| needed.contains(library)), "{needed}");
    }
}
