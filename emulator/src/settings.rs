//! How the hub behaves where the sources on IoT Hub leave something open or disagree.
//!
//! Each setting stands once, in the table below, with its default and its explanation; the command
//! line, `hub.toml`, `--help` and this structure's documentation all come from there.

mod value;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use value::Value;
pub use value::{
    ApiVersion, C2dAtQos0, C2dBagEnd, C2dMessageId, ConnackCode, EmptyPatch, EmptyValue, MethodFilters,
    MismatchCode, PatchAnswer, PatchVersion, PropertyNames, QosProperty, RetainProperty, ScopeCase,
    ScopeEncoding, SectionTooLarge, StoredFilters, TlsVersions, TwinSize, UnknownFilter, UnknownTopic,
    WrongMessageId,
};

/// What there is to know about one setting.
struct Entry {
    field: &'static str,
    about: &'static str,
    forms: fn() -> String,
    set: fn(&mut Settings, &str) -> Result<(), String>,
    show: fn(&Settings) -> String,
}

impl Entry {
    fn name(&self) -> String {
        self.field.replace('_', "-")
    }
}

macro_rules! settings {
    ($($field:ident: $type:ty = $default:expr, $about:literal;)+) => {
        /// How the hub behaves where the sources on IoT Hub leave something open or disagree.
        ///
        /// The default is what is documented or seen of IoT Hub, else what its open-source
        /// relative, the hub of IoT Edge, does. As text (`--setting`, `hub.toml`) a name has
        /// hyphens, a time is in seconds and may have a fraction.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $(#[doc = $about] pub $field: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        const TABLE: &[Entry] = &[
            $(Entry {
                field: stringify!($field),
                about: $about,
                forms: <$type as Value>::forms,
                set: |settings, text| {
                    settings.$field = <$type as Value>::read(text)?;
                    Ok(())
                },
                show: |settings| settings.$field.show(),
            },)+
        ];
    };
}

settings! {
    connect_deadline: Duration = Duration::from_secs(60),
        "How long a client may take to send CONNECT. The hub of IoT Edge waits 60 s.";
    keep_alive_ceiling: Duration = Duration::from_secs(1767),
        "The longest silence that is borne, also where CONNECT asks for no keep-alive. Documented are 1767 s; the hub of IoT Edge takes 600.";
    tls: TlsVersions = TlsVersions::Both,
        "Which versions of TLS are spoken. Documented for devices is 1.2 alone.";
    api_version: ApiVersion = ApiVersion::Required,
        "Whether the user name of CONNECT must have an api-version. The documentation only warns against leaving it out.";
    client_id_mismatch: MismatchCode = MismatchCode::NotAuthorized,
        "The return code for a ClientId that is not the one of the user name. MQTT has 2 for it; the hub of IoT Edge counts it as a failed authentication.";
    auth_refusal: ConnackCode = ConnackCode::NotAuthorized,
        "The return code for failed authentication. Seen of IoT Hub is 5; client tables know 4 too.";
    token_skew: Duration = Duration::from_secs(300),
        "How long after its expiry a token is still taken, for clocks that differ. The hub of IoT Edge has 300 s.";
    token_grace: Duration = Duration::ZERO,
        "How long a connection lives on after its token's expiry and the skew. Tables of SDKs count on 600 s.";
    sas_case: ScopeCase = ScopeCase::Ignored,
        "Whether the ids in a token's sr may differ from the registered ones in case. They may at the hub of IoT Edge.";
    sas_encoding: ScopeEncoding = ScopeEncoding::OnceOrTwice,
        "How often the ids in a token's sr may be percent-encoded. The SDK for C# does it twice, others once.";
    unknown_topic: UnknownTopic = UnknownTopic::Close,
        "PUBLISH to a topic that is not documented: closes the connection; drops the message and acknowledges it (the hub of IoT Edge); accepts it with the properties Unmatched and Subject (IoT Hub in 2016).";
    unknown_filter: UnknownFilter = UnknownFilter::Close,
        "SUBSCRIBE to a filter that is not documented: closes the connection; refuses it with 0x80 in the SUBACK; ignores it with a good SUBACK (the hub of IoT Edge).";
    filter_limit: u16 = 5,
        "How many filters a client may subscribe to. Documented are 5.";
    stored_filters: StoredFilters = StoredFilters::All,
        "Which subscriptions a stored session keeps: all, as the hub of IoT Edge does, or only those of queued messages.";
    empty_value: EmptyValue = EmptyValue::Kept,
        "A property k= of telemetry: an empty text, as documented, or null, as the parser for .NET reads it.";
    message_id: WrongMessageId = WrongMessageId::Refused,
        "A message id that is longer than 128 or has a character that is not documented: telemetry with it closes the connection and a C2D message gets 400; or it is accepted.";
    retain_property: RetainProperty = RetainProperty::MqttRetain,
        "The property of a message that was sent with RETAIN. Its name was x-opt-retain in 2018.";
    qos_property: QosProperty = QosProperty::Absent,
        "Whether telemetry gets the property mqtt-qos. It is documented and not seen.";
    c2d_at_qos_0: C2dAtQos0 = C2dAtQos0::Complete,
        "A C2D message to a subscription at QoS 0 is completed by being sent, or sent again after each lock until it expires.";
    c2d_lock: Duration = Duration::from_secs(60),
        "How long a message to a device or module waits for its PUBACK before it is sent again. IoT Hub has a minute.";
    c2d_in_flight: u16 = 50,
        "How many messages to a device or module may wait for their PUBACK. The hub of IoT Edge has 10.";
    c2d_message_id: C2dMessageId = C2dMessageId::Made,
        "Whether a C2D message that has no id gets one. The Rust client of IoT Edge drops a message without.";
    c2d_property_names: PropertyNames = PropertyNames::Any,
        "Which names the properties of a C2D message may have. Documented are letters, digits and !#$%&'*+-.^_`|~ of ASCII.";
    c2d_bag_end: C2dBagEnd = C2dBagEnd::Plain,
        "What stands after the properties in the topic of a C2D message. A slash is seen in recordings of the SDKs for C and C#.";
    twin_size: TwinSize = TwinSize::Counted,
        "How the 32 KB of a twin's section are counted: names and values, as documented, or as JSON text, as the hub of IoT Edge does.";
    twin_too_large: SectionTooLarge = SectionTooLarge::PayloadTooLarge,
        "The status for reported properties that grow above 32 KB. Documented is 413; the hub of IoT Edge has 400 for every rule.";
    twin_patch_version: PatchVersion = PatchVersion::Ignored,
        "Whether &$version=N of a report is compared, with 412 where the reported properties have another version. The SDK for Node mentions it.";
    twin_empty_patch: EmptyPatch = EmptyPatch::Counts,
        "Whether a report of {} makes a new version.";
    patch_answer_version: PatchAnswer = PatchAnswer::Always,
        "Whether the answer to a report has &$version=N. The hub of IoT Edge leaves it out.";
    method_filters: MethodFilters = MethodFilters::ByName,
        "What $iothub/methods/POST/NAME/# subscribes to: the method NAME, or every method, as at the hub of IoT Edge.";
    methods_in_flight: u16 = 100,
        "How many calls of methods may wait for one device; the next one gets 403800. IoT Hub's number is not documented.";
}

impl Settings {
    /// Sets one by the name and the text that the command line and `hub.toml` use.
    ///
    /// # Errors
    /// An unknown name, with what there is; a value that is none of it, with what there may be.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let Some(entry) = TABLE.iter().find(|entry| entry.name() == name) else {
            let names: Vec<_> = TABLE.iter().map(Entry::name).collect();
            return Err(format!("there is no setting '{name}'; there are {}", names.join(", ")));
        };
        (entry.set)(self, value).map_err(|rule| format!("the setting {name}: {rule}"))
    }

    /// Reads `NAME=VALUE`.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn set_pair(&mut self, text: &str) -> Result<(), String> {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("{text}: must be NAME=VALUE"))?;
        self.set(name, value)
    }

    /// What the help says about every setting.
    pub(crate) fn help() -> String {
        let defaults = Self::default();
        let mut text = String::from(
            "Settings, for what the sources on IoT Hub leave open or disagree on, each with its default",
        );
        for entry in TABLE {
            let (name, forms, default) = (entry.name(), (entry.forms)(), (entry.show)(&defaults));
            text.push_str(&format!("\n  {name}={forms} [{default}]\n"));
            text.push_str(&wrapped(entry.about));
        }
        text
    }
}

/// Lines of at most 100 characters under a name.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("     ");
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > 100 {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("     ");
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Integer(i64),
    Number(f64),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// A table of names and values; what it does not name keeps its default.
impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut settings = Self::default();
        for (name, value) in BTreeMap::<String, Scalar>::deserialize(deserializer)? {
            settings.set(&name, &value.to_string()).map_err(D::Error::custom)?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
#[path = "settings/tests.rs"]
mod tests;
