//! Percent-encoding as IoT Hub reads it (RFC 3986, section 2.1).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};

/// Everything but the unreserved characters of RFC 3986: letters, digits and `- . _ ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes everything but `A-Z a-z 0-9 - . _ ~`, with upper-case digits; a space becomes `%20`.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Appends the encoded `text` to `out`. See [`encode`].
pub fn encode_into(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, RESERVED));
}

/// Decodes `%XX` of either case. `+` is a literal plus, and a `%` that two hexadecimal digits do
/// not follow stands for itself, as in the parsers of IoT Hub.
///
/// # Errors
/// `Argument` where the decoded bytes are not UTF-8.
pub fn decode(text: &str) -> Result<Cow<'_, str>> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Error::argument("percent-encoded text", "the decoded bytes must be valid UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encodes_all_but_the_unreserved() {
        for (text, expected) in [
            ("", ""),
            ("aZ09-._~", "aZ09-._~"),
            ("abc/=%012", "abc%2F%3D%25012"),
            ("a b+c", "a%20b%2Bc"),
            ("!'()*", "%21%27%28%29%2A"),
            ("é\u{1F600}", "%C3%A9%F0%9F%98%80"),
            ("\0\n\u{7f}", "%00%0A%7F"),
        ] {
            assert_eq!(encode(text), expected);
        }
    }

    #[test]
    fn decodes_either_case_and_keeps_what_is_no_escape() {
        for (text, expected) in
            [("%2f%2F", "//"), ("a+b", "a+b"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%c3%A9", "é")]
        {
            assert_eq!(decode(text).unwrap(), expected);
        }
        assert!(matches!(decode("plain").unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn refuses_bytes_that_are_not_utf8() {
        assert!(decode("%FF").is_err());
        assert!(decode("%C3").is_err());
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in any::<String>()) {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }

        #[test]
        fn decoding_never_panics(text in any::<String>()) {
            let _ = decode(&text);
        }
    }
}
