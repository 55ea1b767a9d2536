//! The name of a blob as a path below a directory, which it cannot leave. Pure.

use std::fmt::Write as _;
use std::path::PathBuf;

/// The longest that a file system takes for one name.
const MAX_SEGMENT: usize = 255;

/// A path of plain names, another one for each blob: what might mean something to a file system
/// is written as `%` and two digits. `None` where a part is longer than a file's name may be.
pub(super) fn of_blob(name: &str) -> Option<PathBuf> {
    name.split('/')
        .map(|segment| {
            let written = written(segment);
            (written.len() <= MAX_SEGMENT).then_some(written)
        })
        .collect()
}

fn written(segment: &str) -> String {
    if segment.is_empty() {
        // No other segment comes to this: a percent sign is never followed by a letter Z.
        return "%Z".to_owned();
    }
    let mut written = String::new();
    for (at, c) in segment.char_indices() {
        // A leading dot would hide the file, mean a directory, or meet the store's own.
        let leading_dot = at == 0 && c == '.';
        if leading_dot || c.is_control() || matches!(c, '%' | '\\' | ':') {
            let _ = write!(written, "%{:02X}", u32::from(c));
        } else {
            written.push(c);
        }
    }
    written
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_stays_readable_and_below() {
        for (name, path) in [
            ("d/log.txt", "d/log.txt"),
            ("d/a/b c/ü.json", "d/a/b c/ü.json"),
            ("../../etc/passwd", "%2E./%2E./etc/passwd"),
            ("d/./x", "d/%2E/x"),
            ("/etc/passwd", "%Z/etc/passwd"),
            ("d//x/", "d/%Z/x/%Z"),
            ("d/a\0b\\c", "d/a%00b%5Cc"),
            ("d/a%2Fb", "d/a%252Fb"),
            (".parts/x", "%2Eparts/x"),
        ] {
            assert_eq!(of_blob(name).unwrap(), PathBuf::from(path), "{name}");
        }
        assert_eq!(of_blob(&"x".repeat(256)), None);
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_directory_or_meets_another(
            names in prop::collection::vec(prop_oneof![any::<String>(), "[./%\\\\a2E\u{0}]{0,8}"], 1..20)
        ) {
            let mut seen: HashMap<PathBuf, String> = HashMap::new();
            for name in names {
                let Some(path) = of_blob(&name) else { continue };
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{:?}", path);
                prop_assert_eq!(path.components().count(), name.split('/').count());
                prop_assert!(!path.as_os_str().as_encoded_bytes().contains(&0));
                let other = seen.entry(path).or_insert_with(|| name.clone());
                prop_assert_eq!(other, &name);
            }
        }
    }
}
