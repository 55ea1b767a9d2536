//! That the table of rules names tests that are there, and all of those that are made for it.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const TABLE: &str = include_str!("../RULES.md");

/// Files whose every test shows a rule.
const OF_RULES: [&str; 9] =
    ["c2d", "connect_rules", "method_rules", "misuse", "sessions", "telemetry", "tls", "twin_rules", "wills"];

/// The tests in a file: functions behind an attribute that says so.
fn tests_in(text: &str) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if marked {
                tests.insert(rest.split('(').next().unwrap().to_owned());
            }
            marked = false;
        }
    }
    tests
}

fn collect(root: &Path, dir: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().with_extension("");
            let tests = tests_in(&fs::read_to_string(&path).unwrap());
            found.entry(name.to_string_lossy().into_owned()).or_default().extend(tests);
        }
    }
}

/// By file, below `tests` or `src`, without its extension.
fn all_tests() -> BTreeMap<String, BTreeSet<String>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    for root in ["tests", "src"] {
        let root = package.join(root);
        collect(&root, &root, &mut found);
    }
    found
}

/// What stands between backquotes as `file::test` in a line.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|text| text.split_once("::"))
}

/// The rows of the tables, without their heads.
fn rows() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|line| line.starts_with("| ") && *line != "| Rule | Shown by |")
}

#[test]
fn every_rule_names_tests_that_are_there() {
    let tests = all_tests();
    let mut count = 0;
    for row in rows() {
        let shown = row.trim_end_matches('|').rsplit('|').next().unwrap();
        assert!(named(shown).next().is_some(), "no test: {row}");
        for (file, test) in named(shown) {
            let there = tests.get(file).is_some_and(|tests| tests.contains(test));
            assert!(there, "there is no test {file}::{test}");
        }
        count += 1;
    }
    assert!(count > 100, "{count} rules");
}

#[test]
fn every_test_of_a_rule_stands_in_the_table() {
    let tests = all_tests();
    let named: BTreeSet<_> = rows().flat_map(named).collect();
    for file in OF_RULES {
        for test in &tests[file] {
            assert!(named.contains(&(file, test.as_str())), "{file}::{test} is not in RULES.md");
        }
    }
}

#[test]
fn the_settings_of_the_help_are_those_that_rules_name() {
    let program = env!("CARGO_BIN_EXE_iothub-emulator");
    let help = std::process::Command::new(program).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let (_, settings) = help.split_once("\nSettings, for").unwrap();
    // Each is a line `  name=values [default]` above its explanation, which stands further in.
    let heads = settings.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let listed: BTreeSet<_> =
        heads.filter_map(|line| line.trim().split_once('=')).map(|(name, _)| name).collect();
    let named: BTreeSet<_> = rows().flat_map(|row| row.split('*').skip(1).step_by(2)).collect();
    assert_eq!(listed, named);
}
