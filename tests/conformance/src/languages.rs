//! The agents and how they are built.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    C,
    /// C, driven by the program's own loop.
    CManual,
    Cpp,
}

const ALL: [(&str, Language); 4] =
    [("rust", Language::Rust), ("c", Language::C), ("c-manual", Language::CManual), ("cpp", Language::Cpp)];

/// Those with these names; all when none is named.
pub(crate) fn chosen(names: &[String]) -> Vec<Language> {
    let all = ALL.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name));
    all.map(|(_, language)| *language).collect()
}

/// An agent that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) language: &'static str,
    path: PathBuf,
    argument: Option<&'static str>,
}

impl Program {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(self.argument).env("LD_LIBRARY_PATH", profile());
        command
    }
}

impl Language {
    /// Builds the agent; that of Rust only where cargo has not.
    pub(crate) fn build(self, rust_agent: Option<&Path>) -> Program {
        let language = ALL.iter().find(|(_, language)| *language == self).map_or("", |(name, _)| *name);
        let (path, argument) = match self {
            Self::Rust => {
                let build = || cargo("conformance-agent", &["--package", "iothub-conformance", "--bin"]);
                (rust_agent.map_or_else(build, Path::to_owned), None)
            }
            Self::C => (c_agent(), Some("threaded")),
            Self::CManual => (c_agent(), Some("manual")),
            Self::Cpp => (
                compile(
                    "cpp",
                    "c++",
                    &["agent.cpp", "codec.cpp"],
                    &["-std=c++17", "-I", "bindings/cpp"],
                    &[],
                ),
                None,
            ),
        };
        Program { language, path, argument }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// Where cargo has put this program, or the one that this test belongs to.
fn profile() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    if folder.ends_with("deps") { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}

/// Has cargo build `artefact` in the profile of this program, as cargo does not do by itself for a
/// program that is not a test's own and for a library that is not Rust's.
fn cargo(artefact: &str, what: &[&str]) -> PathBuf {
    let profile = profile();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.args(["build", "--quiet"]).args(what);
    if !artefact.starts_with("lib") {
        cargo.arg(artefact);
    }
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    if profile.ends_with("release") {
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
    assert!(cargo.current_dir(root()).status().unwrap().success(), "{artefact} does not build");
    profile.join(artefact)
}

/// One program in two modes.
fn c_agent() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L"];
    PROGRAM
        .get_or_init(|| compile("c", "cc", &["agent.c", "codec.c", "vault.c"], &flags, &["-ljansson"]))
        .clone()
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// When a file, or a file in a folder, was changed last.
fn newest(path: &Path) -> Option<SystemTime> {
    let files = std::fs::read_dir(path).into_iter().flatten().map_while(Result::ok);
    files.filter_map(|file| changed(&file.path())).chain(changed(path)).max()
}

/// Compiles an agent against the shared library.
fn compile(folder: &str, compiler: &str, sources: &[&str], flags: &[&str], libraries: &[&str]) -> PathBuf {
    cargo("libiothub_mqtt.so", &["--lib", "--package", "iothub-mqtt-ffi"]);
    let program = profile().join(format!("conformance-agent-{folder}"));
    let own = format!("tests/conformance/agents/{folder}");
    let inputs = ["include", "bindings/cpp/iothub_mqtt", &own, "tests/conformance/src/languages.rs"];
    // The library is shared: a new one needs no new program.
    if changed(&program)
        .is_some_and(|made| inputs.iter().all(|input| newest(&root().join(input)) < Some(made)))
    {
        return program;
    }
    let variable = if folder == "c" { "CC" } else { "CXX" };
    let mut command = Command::new(std::env::var_os(variable).unwrap_or_else(|| compiler.into()));
    command.current_dir(root()).args(flags).args(["-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread"]);
    command.arg("-Iinclude").args(sources.iter().map(|source| format!("{own}/{source}")));
    command.arg("-o").arg(&program);
    command.arg("-L").arg(profile()).arg("-liothub_mqtt").args(libraries);
    assert!(command.status().unwrap().success(), "{command:?}");
    program
}
