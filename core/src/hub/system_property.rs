//! The properties of a message that IoT Hub gives a meaning, and their names in topics.

use crate::error::{Error, Result};

/// A property that IoT Hub itself reads or writes. In a topic its name begins with `$.`, except
/// for the two of the service side.
///
/// The order of the variants is the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SystemProperty {
    /// The output of a module that the message leaves by. Modules only.
    OutputName,
    /// 1 to 128 ASCII letters, digits and `- : . + % _ # * ? ! ( ) , = @ ; $ '`.
    MessageId,
    CorrelationId,
    UserId,
    /// Set by the hub on what it delivers: the address of the device.
    To,
    /// A media type. Routing reads the body as JSON where this is `application/json` and the
    /// encoding is UTF-8, UTF-16 or UTF-32.
    ContentType,
    ContentEncoding,
    /// `urn:azureiot:Security:SecurityAgent:1` marks a security message.
    InterfaceId,
    /// When the message expires: ISO 8601, UTC.
    Expiry,
    /// When the message was made: ISO 8601, UTC.
    CreationTime,
    Schema,
    /// The Plug and Play component that the message is of.
    Component,
    /// Written by the hub on a module's input: the device that sent the message.
    SenderDevice,
    /// Written by the hub on a module's input: the module that sent the message.
    SenderModule,
    DiagnosticId,
    DiagnosticContext,
    /// Cloud to device only: the feedback that the sender asked for.
    Ack,
    /// Cloud to device only.
    Operation,
}

impl SystemProperty {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 18] = [
        Self::OutputName,
        Self::MessageId,
        Self::CorrelationId,
        Self::UserId,
        Self::To,
        Self::ContentType,
        Self::ContentEncoding,
        Self::InterfaceId,
        Self::Expiry,
        Self::CreationTime,
        Self::Schema,
        Self::Component,
        Self::SenderDevice,
        Self::SenderModule,
        Self::DiagnosticId,
        Self::DiagnosticContext,
        Self::Ack,
        Self::Operation,
    ];

    /// The name in a property bag, before percent-encoding.
    pub const fn key(self) -> &'static str {
        match self {
            Self::OutputName => "$.on",
            Self::MessageId => "$.mid",
            Self::CorrelationId => "$.cid",
            Self::UserId => "$.uid",
            Self::To => "$.to",
            Self::ContentType => "$.ct",
            Self::ContentEncoding => "$.ce",
            Self::InterfaceId => "$.ifid",
            Self::Expiry => "$.exp",
            Self::CreationTime => "$.ctime",
            Self::Schema => "$.schema",
            Self::Component => "$.sub",
            Self::SenderDevice => "$.cdid",
            Self::SenderModule => "$.cmid",
            Self::DiagnosticId => "$.diagid",
            Self::DiagnosticContext => "$.diagctx",
            Self::Ack => "iothub-ack",
            Self::Operation => "iothub-operation",
        }
    }

    /// The property with this [`key`](Self::key).
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|property| property.key() == key)
    }

    /// Whether only the hub writes it, so that a device cannot send it.
    pub const fn is_hub_only(self) -> bool {
        matches!(self, Self::SenderDevice | Self::SenderModule | Self::Ack | Self::Operation)
    }

    /// The rules for a value that a caller sets.
    pub(crate) fn check(self, value: &str) -> Result<()> {
        let refuse = |rule: &str| Err(Error::argument(&format!("{self:?}"), rule));
        if value.is_empty() {
            return refuse("must not be empty");
        }
        match self {
            Self::MessageId => {
                if value.len() > 128 {
                    return refuse("must have at most 128 characters");
                }
                let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-:.+%_#*?!(),=@;$'".contains(&b);
                if !value.bytes().all(allowed) {
                    return refuse(
                        "must be of ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '",
                    );
                }
                Ok(())
            }
            Self::Ack if !["none", "positive", "negative", "full"].contains(&value) => {
                refuse("must be none, positive, negative or full")
            }
            _ => Ok(()),
        }
    }
}
