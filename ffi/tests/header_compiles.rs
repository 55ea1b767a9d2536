//! The header is good C and C++ in every dialect, twice in one file, and its enumerations are not enums.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const PROGRAM: &str = "\
#include <iothub_mqtt.h>
#include <iothub_mqtt.h>
static char status_is_an_int32[sizeof(iothub_status_t) == 4 ? 1 : -1];
static char ack_is_an_int32[sizeof(iothub_ack_t) == 4 ? 1 : -1];
static void done(iothub_status_t status, const char *detail, void *user_data) {
  switch (status) { case IOTHUB_OK: case IOTHUB_E_INTERNAL: default: (void)detail; (void)user_data; }
}
int main(void) {
  (void)status_is_an_int32; (void)ack_is_an_int32;
  return iothub_client_connect(NULL, done, NULL, NULL) == IOTHUB_OK - IOTHUB_E_ARGUMENT && IOTHUB_VERSION > 0;
}
";

fn compiles(variable: &str, default: &str, language: &str, standard: &str, more: &[&str]) {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include");
    let mut compiler = Command::new(std::env::var_os(variable).unwrap_or_else(|| default.into()));
    compiler.args(["-x", language, &format!("-std={standard}"), "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    compiler.args(["-Wundef", "-Wstrict-overflow"]).args(more).arg("-I").arg(include);
    compiler.args(["-c", "-o", "/dev/null", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = compiler.spawn().unwrap();
    child.stdin.take().unwrap().write_all(PROGRAM.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{compiler:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn as_c() {
    for standard in ["c99", "c11", "c17"] {
        compiles("CC", "cc", "c", standard, &["-Wstrict-prototypes", "-Wmissing-prototypes"]);
        compiles("CC", "cc", "c", standard, &["-fshort-enums"]);
    }
}

#[test]
fn as_cpp() {
    for standard in ["c++11", "c++14", "c++17", "c++20"] {
        compiles("CXX", "c++", "c++", standard, &["-Wextra-semi"]);
        compiles("CXX", "c++", "c++", standard, &["-fshort-enums"]);
    }
}
