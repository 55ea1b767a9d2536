//! The property bag: the last part of a message topic, `name=value&name=value`, percent-encoded.

use super::percent;
use crate::error::Result;

/// Reads a bag: `k` is null (`None`), `k=` is the empty string, `k=v` a value. `+` is a literal
/// plus. One trailing `/` is no part of the bag, and empty pairs (`a&&b`) are skipped. Whatever
/// follows the first `=` of a pair is its value. A name that comes twice is returned twice.
///
/// # Errors
/// `Argument` where a name or value does not decode to UTF-8.
pub fn parse(bag: &str) -> Result<Vec<(String, Option<String>)>> {
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    bag.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name, Some(percent::decode(value)?.into_owned())),
                None => (pair, None),
            };
            Ok((percent::decode(name)?.into_owned(), value))
        })
        .collect()
}

/// Appends the bag of `pairs` to `out`: upper-case `%XX`, space as `%20`, no trailing `/`.
///
/// Names must not be empty: a null property without a name would leave nothing to read.
pub fn write<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
    for (i, (name, value)) in pairs.enumerate() {
        if i > 0 {
            out.push('&');
        }
        percent::encode_into(out, name);
        if let Some(value) = value {
            out.push('=');
            percent::encode_into(out, value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn null_and_empty_are_kept_apart() {
        type Pairs = &'static [(&'static str, Option<&'static str>)];
        let cases: [(&str, Pairs); 9] = [
            ("", &[]),
            ("/", &[]),
            ("k", &[("k", None)]),
            ("k=", &[("k", Some(""))]),
            ("k=v/", &[("k", Some("v"))]),
            ("k=v%2F", &[("k", Some("v/"))]),
            ("a=1&&b&", &[("a", Some("1")), ("b", None)]),
            ("a=b=c", &[("a", Some("b=c"))]),
            (
                "prop1&prop2=&prop3=a%20string&p+4=1+1",
                &[("prop1", None), ("prop2", Some("")), ("prop3", Some("a string")), ("p+4", Some("1+1"))],
            ),
        ];
        for (bag, expected) in cases {
            let parsed = parse(bag).unwrap();
            let parsed: Vec<_> = parsed.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
            assert_eq!(parsed, expected, "{bag}");
        }
    }

    #[test]
    fn refuses_what_is_not_utf8() {
        assert!(parse("a=%FF").is_err());
        assert!(parse("%FF").is_err());
    }

    #[test]
    fn writes_after_what_is_there() {
        let mut out = String::from("devices/d/messages/events/");
        let pairs = [("$.mid", Some("a b+/&=")), ("n", None), ("e", Some(""))];
        write(&mut out, pairs.into_iter());
        assert_eq!(out, "devices/d/messages/events/%24.mid=a%20b%2B%2F%26%3D&n&e=");
    }

    proptest! {
        #[test]
        fn parsing_undoes_writing(
            pairs in prop::collection::vec((".+", prop::option::of(any::<String>())), 0..8),
        ) {
            let mut out = String::new();
            write(&mut out, pairs.iter().map(|(k, v)| (k.as_str(), v.as_deref())));
            prop_assert_eq!(parse(&out).unwrap(), pairs);
        }

        #[test]
        fn parsing_never_panics(bag in any::<String>()) {
            let _ = parse(&bag);
        }
    }
}
