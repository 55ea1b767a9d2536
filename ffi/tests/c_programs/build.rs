//! Compiles the library and the programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The language that a program is compiled as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    C,
    Cpp,
}

pub(crate) const LANGUAGES: [Language; 2] = [Language::C, Language::Cpp];

pub(crate) const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// How the library gets into a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Shared,
    Static,
    /// Not at all: the program loads it itself.
    Nothing,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder that holds `libiothub_mqtt.so` and `.a`, made by the same cargo in the same profile.
///
/// A test of a package without a Rust library does not have it built by itself.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--lib", "--package", env!("CARGO_PKG_NAME"), "--target-dir"])
            .arg(target);
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        if profile == "release" {
            cargo.arg("--release");
        }
        // What the outer cargo says of this package would have others built anew.
        for (name, _) in std::env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"]
                .iter()
                .any(|own| name.to_string_lossy().starts_with(own))
            {
                cargo.env_remove(name);
            }
        }
        assert!(cargo.current_dir(root()).status().unwrap().success(), "the library does not build");
        target.join(profile)
    })
}

pub(crate) fn compiler(language: Language) -> Command {
    let (variable, default) = match language {
        Language::C => ("CC", "cc"),
        Language::Cpp => ("CXX", "c++"),
    };
    Command::new(std::env::var_os(variable).unwrap_or_else(|| default.into()))
}

/// Compiles `tests/c/{name}.c`; the program.
pub(crate) fn compile(name: &str, language: Language, link: Link) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join(format!("{name}-{language:?}-{link:?}"));
    let mut compiler = compiler(language);
    match language {
        Language::C => compiler.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-x", "c"]),
        Language::Cpp => compiler.args(["-std=c++17", "-x", "c++"]),
    };
    compiler.arg(root().join(format!("tests/c/{name}.c"))).args(["-x", "none"]);
    build(compiler, link, &program);
    program
}

/// Lets `compiler`, which has its sources and standard, make a program or an object.
pub(crate) fn build(mut compiler: Command, link: Link, program: &Path) {
    compiler.args(WARNINGS).args(["-g", "-O1", "-pthread", "-I"]).arg(root().join("include"));
    match link {
        Link::Shared => compiler.arg("-L").arg(library()).arg("-liothub_mqtt"),
        Link::Static => compiler.arg(library().join("libiothub_mqtt.a")).args(["-lm", "-ldl"]),
        Link::Nothing => compiler.arg("-ldl"),
    };
    let output = compiler.arg("-o").arg(program).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?}:\n{errors}");
}
