//! Routes from the outputs of modules to the inputs of others. Pure.

use iothub_mqtt::hub::property_bag;

use crate::broker::rules;
use crate::identity::Identity;

/// Whatever `sender` sends to `output` goes to `input` of `receiver`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) sender: Identity,
    pub(crate) output: String,
    pub(crate) receiver: Identity,
    pub(crate) input: String,
}

impl Route {
    /// Reads `device/module/output` and `device/module/input`.
    pub(crate) fn new(from: &str, to: &str) -> Result<Self, &'static str> {
        let ((sender, output), (receiver, input)) = end(from)
            .zip(end(to))
            .ok_or("each end must be DEVICE/MODULE/NAME, with a name without / + # in it")?;
        if sender.device_id() != receiver.device_id() {
            return Err("both modules must be of one device");
        }
        Ok(Self { sender, output: output.to_owned(), receiver, input: input.to_owned() })
    }
}

fn end(text: &str) -> Option<(Identity, &str)> {
    let (id, name) = text.rsplit_once('/')?;
    let identity = Identity::parse(id);
    let whole = identity.module_id().is_some() && identity.is_valid() && is_input(name);
    whole.then_some((identity, name))
}

/// Whether `name` can be the level of a topic that names an input.
pub(crate) fn is_input(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '+', '#', '\0'])
}

/// Splits `FROM=TO` at the first `=` that leaves two whole ends: ids and names may have one, too.
pub(crate) fn split(text: &str) -> Option<(String, String)> {
    text.match_indices('=')
        .map(|(at, _)| (&text[..at], &text[at + 1..]))
        .find(|(from, to)| end(from).is_some() && end(to).is_some())
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
}

/// A message that a module sent to one of its outputs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) message_id: Option<String>,
    application: Vec<(String, Option<String>)>,
    system: Vec<(String, Option<String>)>,
}

impl Output {
    /// Reads the bag of a module's message; `None` where it names no output.
    pub(crate) fn of(sender: &Identity, bag: &str) -> Option<Self> {
        let mut output =
            Self { name: String::new(), message_id: None, application: Vec::new(), system: Vec::new() };
        for (name, value) in rules::parse_pairs(bag).ok()? {
            match (name.as_str(), value) {
                ("$.on", value) => output.name = value.unwrap_or_default(),
                (known, value) if known.starts_with("$.") => rules::set(&mut output.system, name, value),
                (_, value) => rules::set(&mut output.application, name, value),
            }
        }
        let named = |key: &str| output.system.iter().find(|(name, _)| name == key);
        output.message_id = named("$.mid").and_then(|(_, value)| value.clone());
        // Nobody sends in the name of another: what is there already is replaced where it stands.
        rules::set(&mut output.system, "$.cdid".into(), Some(sender.device_id().to_owned()));
        rules::set(&mut output.system, "$.cmid".into(), sender.module_id().map(str::to_owned));
        (!output.name.is_empty()).then_some(output)
    }

    /// The topic on which it reaches an input: the message's own properties, then the system's.
    pub(crate) fn topic(&self, receiver: &Identity, input: &str) -> String {
        let pairs = self.application.iter().chain(&self.system);
        input_topic(receiver, input, pairs.map(|(name, value)| (name.as_str(), value.as_deref())))
    }
}

/// `devices/{d}/modules/{m}/inputs/{input}/{bag}`
pub(crate) fn input_topic<'a>(
    receiver: &Identity,
    input: &str,
    pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> String {
    let module = receiver.module_id().unwrap_or_default();
    let mut topic = format!("devices/{}/modules/{module}/inputs/{input}/", receiver.device_id());
    property_bag::write(&mut topic, pairs);
    topic
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_modules_of_one_device() {
        let route = Route::new("d/a/out", "d/b/in").unwrap();
        assert_eq!((route.sender.to_string(), route.output.as_str()), ("d/a".to_owned(), "out"));
        assert_eq!((route.receiver.to_string(), route.input.as_str()), ("d/b".to_owned(), "in"));
        assert!(Route::new("d/a/out", "d/a/in").is_ok(), "a module may send to itself");
        for (from, to) in [
            ("d/a/out", "e/b/in"),
            ("d/out", "d/b/in"),
            ("d/a/", "d/b/in"),
            ("d/a/out", "d/b/+"),
            ("d/a/x/out", "d/b/in"),
            ("d//out", "d/b/in"),
        ] {
            assert!(Route::new(from, to).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn the_text_form_is_split_where_both_sides_are_whole() {
        for (text, expected) in [
            ("d/a/out=d/b/in", Some(("d/a/out", "d/b/in"))),
            ("d=1/a/out=d=1/b/in", Some(("d=1/a/out", "d=1/b/in"))),
            ("d/a/out", None),
            ("d/a/out=in", None),
            ("=d/b/in", None),
        ] {
            let split = split(text);
            assert_eq!(split.as_ref().map(|(f, t)| (f.as_str(), t.as_str())), expected, "{text}");
        }
    }

    #[test]
    fn an_output_becomes_an_input_with_its_sender() {
        let (sender, receiver) = (Identity::module("d", "a"), Identity::module("d", "b"));
        let topic = |bag| Output::of(&sender, bag).map(|output| output.topic(&receiver, "in"));
        for (bag, expected) in [
            ("%24.on=out", Some("%24.cdid=d&%24.cmid=a")),
            // The order of the Edge hub; a trailing slash as the SDK for Node sends it.
            ("%24.on=out&%24.ce=utf-8&Foo=Bar/", Some("Foo=Bar&%24.ce=utf-8&%24.cdid=d&%24.cmid=a")),
            ("$.on=out&$.cdid=evil&%24.mid=1&k&e=", Some("k&e=&%24.cdid=d&%24.mid=1&%24.cmid=a")),
            ("%24.cmid=x&%24.cmid=y&%24.on=out", Some("%24.cmid=a&%24.cdid=d")),
            ("a=1&a=2&%24.on=out", Some("a=2&%24.cdid=d&%24.cmid=a")),
            ("a=1%2F2&%24.on=out", Some("a=1%2F2&%24.cdid=d&%24.cmid=a")),
            ("a=1", None),
            ("%24.on=", None),
            ("", None),
        ] {
            let expected = expected.map(|bag| format!("devices/d/modules/b/inputs/in/{bag}"));
            assert_eq!(topic(bag), expected, "{bag}");
        }
    }
}
