//! Runs a program, and judges how it ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;

use crate::build::{LANGUAGES, Language, Link, compile, library, root};
use crate::lab::{Lab, PATIENCE};

/// How a program is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    Nothing,
    Valgrind,
    /// Accesses only.
    ValgrindWithoutLeaks,
}

impl Under {
    pub(crate) fn without_leaks(self) -> Self {
        if self == Self::Valgrind { Self::ValgrindWithoutLeaks } else { self }
    }
}

/// A running program. Its lines can be awaited, and lines be said to it.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    heard: Vec<String>,
    errors: Option<JoinHandle<String>>,
    name: String,
}

impl Running {
    /// Starts `program` with the environment of `lab`, and `more` in it.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        under: Under,
        lab: &Lab,
        more: &[(&str, String)],
    ) -> Self {
        let mut command = match under {
            Under::Nothing => Command::new(program),
            Under::Valgrind | Under::ValgrindWithoutLeaks => {
                let mut valgrind = Command::new("valgrind");
                // What a thread of the library holds while the program exits is reachable, not lost.
                let leaks = if under == Under::Valgrind { "full" } else { "no" };
                valgrind.args(["--quiet", "--error-exitcode=99", &format!("--leak-check={leaks}")]);
                valgrind.args([
                    "--show-leak-kinds=definite,indirect",
                    "--errors-for-leak-kinds=definite,indirect",
                ]);
                valgrind.arg(format!("--suppressions={}", root().join("tests/c/valgrind.supp").display()));
                if !cfg!(debug_assertions) {
                    // Without symbols the suppressions find nothing; the leaks and accesses are left.
                    valgrind.arg("--undef-value-errors=no");
                }
                valgrind.arg("--fair-sched=yes").arg(program);
                valgrind
            }
        };
        command.args(arguments).envs(lab.environment()).envs(more.iter().map(|(name, value)| (name, value)));
        command.env("LD_LIBRARY_PATH", library());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{file} {} under {under:?}", arguments.join(" "));
        Self { input: child.stdin.take(), child, lines, heard: Vec::new(), errors: Some(errors), name }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for this line.
    pub(crate) fn hear(&mut self, expected: &str) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            let found = line == expected;
            self.heard.push(line);
            if found {
                return;
            }
        }
        self.child.kill().unwrap();
        let errors = self.errors();
        panic!("{} never said {expected:?}; it said {:?}\n{errors}", self.name, self.heard);
    }

    /// What it said on standard error, once it has ended.
    fn errors(&mut self) -> String {
        self.errors.take().map(|errors| errors.join().unwrap()).unwrap_or_default()
    }

    /// Its next line.
    pub(crate) fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| panic!("{} says no more; it said {:?}", self.name, self.heard));
        self.heard.push(line.clone());
        line
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits for its end, which has to be a good one without a word on standard error. What it said.
    pub(crate) fn end(mut self) -> Vec<String> {
        drop(self.input.take());
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.heard.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.child.kill().unwrap();
                    panic!("{} does not end; it said {:?}", self.name, self.heard);
                }
            }
        }
        let status = self.child.wait().unwrap();
        let errors = self.errors();
        assert!(status.success() && errors.is_empty(), "{}: {status}\n{errors}", self.name);
        self.heard
    }
}

/// Every way to run one program: `story` is told each time with a hub of its own.
pub(crate) fn every_way(name: &str, mut story: impl FnMut(&Lab, &Path, Under)) {
    for language in LANGUAGES {
        let program = compile(name, language, Link::Shared);
        story(&Lab::new(), &program, Under::Nothing);
        // What valgrind sees does not depend on the language: once is enough.
        if language == Language::C {
            story(&Lab::new(), &program, Under::Valgrind);
        }
    }
}

/// Runs `name` every way with `arguments`; what it has to do is in the program.
pub(crate) fn passes(name: &str, arguments: &[&str]) {
    every_way(name, |lab, program, under| {
        Running::start(program, arguments, under, lab, &[]).end();
    });
}

/// As [`passes`], after `prepare` was given the hub.
pub(crate) fn passes_with(name: &str, prepare: impl Fn(&Lab)) {
    every_way(name, |lab, program, under| {
        prepare(lab);
        Running::start(program, &[], under, lab, &[]).end();
    });
}
