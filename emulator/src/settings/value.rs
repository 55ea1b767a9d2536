//! What a setting may be set to.

use std::time::Duration;

/// A value as text.
pub(super) trait Value: Sized {
    /// # Errors
    /// What it must be.
    fn read(text: &str) -> Result<Self, String>;
    fn show(&self) -> String;
    /// What it may be, alternatives separated by `|`.
    fn forms() -> String;
}

impl Value for Duration {
    fn read(text: &str) -> Result<Self, String> {
        // A year is for ever, and can still be added to any clock.
        const MOST: f64 = 31_536_000.0;
        let seconds = text.parse().ok().filter(|seconds| (0.0..=MOST).contains(seconds));
        let rule = || "must be seconds, 0 to 31536000, with or without a fraction".to_owned();
        seconds.map(Self::from_secs_f64).ok_or_else(rule)
    }

    fn show(&self) -> String {
        self.as_secs_f64().to_string()
    }

    fn forms() -> String {
        "SECONDS".to_owned()
    }
}

impl Value for u16 {
    fn read(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| "must be a number from 1 to 65535".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn forms() -> String {
        "NUMBER".to_owned()
    }
}

/// A closed set of words.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl Value for $name {
            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("must be {}", [$($text),+].join(" or "))),
                }
            }

            fn show(&self) -> String {
                match self {
                    $(Self::$variant => $text.to_owned(),)+
                }
            }

            fn forms() -> String {
                [$($text),+].join("|")
            }
        }
    };
}

choice! {
    /// The versions of TLS.
    TlsVersions { Both = "1.2+1.3", Tls12 = "1.2", }
}
choice! {
    /// Whether a user name needs an api-version.
    ApiVersion { Required = "required", Optional = "optional", }
}
choice! {
    /// A return code of CONNACK for a client that may not.
    ConnackCode {
        BadUserNameOrPassword = "4",
        NotAuthorized = "5",
    }
}
choice! {
    /// A return code of CONNACK for a ClientId that does not go with the user name.
    MismatchCode {
        IdentifierRejected = "2",
        NotAuthorized = "5",
    }
}
choice! {
    ScopeCase { Ignored = "ignore", Compared = "compare", }
}
choice! {
    ScopeEncoding { OnceOrTwice = "once-or-twice", Once = "once", }
}
choice! {
    /// What a PUBLISH to an undocumented topic does.
    UnknownTopic { Close = "close", Drop = "drop", Accept = "accept", }
}
choice! {
    /// What a SUBSCRIBE to an undocumented filter does.
    UnknownFilter { Close = "close", Refuse = "refuse", Ignore = "ignore", }
}
choice! {
    /// Which subscriptions outlive a connection with CleanSession 0.
    StoredFilters {
        All = "all",
        /// Those of C2D messages and of inputs.
        Queued = "queued",
    }
}
choice! {
    EmptyValue { Kept = "keep", Null = "null", }
}
choice! {
    WrongMessageId { Refused = "refuse", Accepted = "accept", }
}
choice! {
    RetainProperty { MqttRetain = "mqtt-retain", XOptRetain = "x-opt-retain", }
}
choice! {
    QosProperty { Absent = "off", Added = "on", }
}
choice! {
    C2dAtQos0 { Complete = "complete", Repeat = "repeat", }
}
choice! {
    C2dMessageId { Made = "make", Absent = "omit", }
}
choice! {
    PropertyNames { Any = "any", Documented = "documented", }
}
choice! {
    C2dBagEnd { Plain = "plain", Slash = "slash", }
}
choice! {
    TwinSize { Counted = "counted", Json = "json", }
}
choice! {
    SectionTooLarge { PayloadTooLarge = "413", BadRequest = "400", }
}
choice! {
    PatchVersion { Ignored = "ignore", Compared = "strict", }
}
choice! {
    EmptyPatch { Counts = "count", Keeps = "keep", }
}
choice! {
    PatchAnswer { Always = "always", Never = "never", }
}
choice! {
    MethodFilters { ByName = "by-name", Any = "any", }
}
