//! MQTT packets as nobody should send them: whole ones with hostile contents, and spoiled ones.
//! The same seed makes the same packets.

use fastrand::Rng;

/// What a session of the device may be sent to, so that most packets reach the rules behind the codec.
pub(crate) struct Storm {
    pub(crate) random: Rng,
    device: String,
}

/// Parts of property bags.
const BAG: &[&str] = &[
    "a=b",
    "a",
    "=",
    "&",
    "a=",
    "=b",
    "%",
    "%2",
    "%zz",
    "%00",
    "%ff%fe",
    "+",
    "a=b=c",
    "a=b&a=c",
    "$.mid=1",
    "$.mid",
    "$.exp=never",
    "$.exp=2099-01-01T00:00:00Z",
    "$.ct=application%2Fjson&$.ce=utf-8",
    "$.cdid=other",
    "$.on=out",
    "$.sub=x",
    "/",
    "//",
    "\u{e9}=\u{1f600}",
    "iothub-message-id=x",
    "$.=x",
    "$.unknown=%F0%9F%98%80",
    "#",
    "x/y=z",
    "\u{0}",
    "?$rid=1",
    "$rid=1",
    " ",
    "\t\r\n",
];

const TOPICS: &[&str] = &[
    "$iothub/twin/GET/?$rid=",
    "$iothub/twin/GET/",
    "$iothub/twin/PATCH/properties/reported/?$rid=",
    "$iothub/twin/PATCH/properties/reported/",
    "$iothub/methods/res/200/?$rid=",
    "$iothub/methods/res/-1/?$rid=",
    "$iothub/methods/res/99999999999/?$rid=",
    "$iothub/twin/",
    "$iothub/",
    "$iothub/twin/res/200/?$rid=",
    "",
    "/",
    "a/b",
    "$SYS/x",
    "devices/",
    "devices//messages/events/",
    "devices/other/messages/events/",
];

const FILTERS: &[&str] = &[
    "$iothub/twin/res/#",
    "$iothub/twin/PATCH/properties/desired/#",
    "$iothub/methods/POST/#",
    "$iothub/methods/POST/+/#",
    "$iothub/methods/POST/a/#",
    "$iothub/methods/POST//#",
    "#",
    "+",
    "",
    "devices/+/messages/devicebound/#",
    "$share/g/#",
    "$iothub/twin/res/",
    "\u{0}",
];

const BODIES: &[&str] = &[
    "{}",
    "{\"a\":1}",
    "{\"a\":null}",
    "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":1}}}}}}}",
    "[]",
    "null",
    "1",
    "\"x\"",
    "{",
    "}",
    "{\"a\":1,\"a\":2}",
    "{\"$version\":1}",
    "{\"$metadata\":{}}",
    "{\"a.b\":1}",
    "{\"a b\":1}",
    "{\"\":1}",
    "{\"a\":1e999}",
    "{\"a\":-0.0}",
    "{\"a\":18446744073709551616}",
    "{\"a\":4503599627370497}",
    "{\"a\":[1,[2,[3]]]}",
    "{\"\\u0000\":1}",
    "{\"a\":\"\\ud800\"}",
    "{\"a\":1}{\"b\":2}",
    "{\"a\":1}\u{0}",
    "{\"a\":tru",
    "\u{feff}{}",
    "{\"\u{1f600}\":\"\u{1f600}\"}",
    "{\"b\":{\"c\":null}}",
    "",
];

impl Storm {
    pub(crate) fn new(seed: u64, device: &str) -> Self {
        Self { random: Rng::with_seed(seed), device: device.to_owned() }
    }

    fn any<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.random.usize(..choices.len())]
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.random.u32(..n) == 0
    }

    /// One packet of a session: whole four times in five.
    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let packet = self.whole_packet();
        if self.one_in(5) { self.spoil(packet) } else { packet }
    }

    fn whole_packet(&mut self) -> Vec<u8> {
        let id = self.random.u16(..).to_be_bytes();
        match self.random.u32(..100) {
            0..50 => {
                let id = self.random.u16(1..);
                self.publish(id)
            }
            50..65 => {
                let mut body = id.to_vec();
                // More than one is another way to a closed connection.
                for _ in 0..1 + self.random.usize(..6) / 4 {
                    let filter = self.filter();
                    text(&mut body, filter.as_bytes());
                    body.push(self.random.u8(..3));
                }
                frame(0x82, &body)
            }
            65..72 => {
                let mut body = id.to_vec();
                let filter = self.filter();
                text(&mut body, filter.as_bytes());
                frame(0xa2, &body)
            }
            72..82 => frame(0x40, &id),
            82..96 => frame(0xc0, &[]),
            // What ends a session comes more rarely than what goes on with it.
            96 => frame(0xe0, &[]),
            97 => frame([0x50, 0x62, 0x70][self.random.usize(..3)], &id),
            98 => frame([0x20, 0x90, 0xb0, 0xd0, 0xf0, 0x00][self.random.usize(..6)], &id),
            _ => frame(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\x01d"),
        }
    }

    fn filter(&mut self) -> String {
        match self.random.u32(..4) {
            0 => format!("devices/{}/messages/devicebound/#", self.device),
            1 => self.any(FILTERS).to_owned(),
            n => FILTERS[n as usize].to_owned(),
        }
    }

    fn publish(&mut self, id: u16) -> Vec<u8> {
        let topic = self.topic();
        let mut body = Vec::new();
        text(&mut body, topic.as_bytes());
        let qos = if self.one_in(100) { self.random.u8(2..4) } else { self.random.u8(..2) };
        if qos > 0 {
            body.extend(if self.one_in(100) { [0, 0] } else { id.to_be_bytes() });
        }
        match self.random.u32(..20) {
            0 => {
                let depth = self.random.usize(..200);
                body.extend("[".repeat(depth).bytes());
            }
            1 => {
                let size = self.random.usize(..40_000);
                body.extend(format!("{{\"k{}\":\"{}\"}}", size % 7, "x".repeat(size)).bytes());
            }
            2 => {
                let size = self.random.usize(..64);
                body.extend((0..size).map(|_| self.random.u8(..)));
            }
            _ => body.extend(self.any(BODIES).bytes()),
        }
        let flags = qos << 1 | self.random.u8(..2) | u8::from(self.one_in(4)) << 3;
        frame(0x30 | flags, &body)
    }

    fn topic(&mut self) -> String {
        match self.random.u32(..10) {
            0..6 => {
                let mut topic = format!("devices/{}/messages/events/", self.device);
                // A hostile part closes the connection more often than not: one is enough.
                let harmless = self.random.usize(..4);
                for n in 0..harmless {
                    topic.push_str(&format!("p{n}={n}&"));
                }
                if self.one_in(3) {
                    topic.push_str(self.any(BAG));
                }
                if self.one_in(50) {
                    let parts = self.random.usize(..3_000);
                    topic.push_str(&"p%41=v&".repeat(parts));
                }
                topic
            }
            6..9 => {
                let (topic, rid) = (TOPICS[[0, 2, 4][self.random.usize(..3)]], self.random.u16(..));
                format!("{topic}{rid}")
            }
            _ => format!("{}{}", self.any(TOPICS), self.any(BAG)),
        }
    }

    /// A CONNECT with this user name and password, or with something in their place.
    pub(crate) fn connect(&mut self, username: &str, password: &str) -> Vec<u8> {
        let mut body = Vec::new();
        let name: &[u8] = if self.one_in(30) { b"MQIsdp" } else { b"MQTT" };
        text(&mut body, name);
        body.push(if self.one_in(30) { self.random.u8(..) } else { 4 });
        let will = self.one_in(3);
        let mut flags = 0xc0 | self.random.u8(..2) << 1 | u8::from(will) << 2;
        if will {
            flags |= self.random.u8(..2) << 3 | self.random.u8(..2) << 5;
        }
        body.push(if self.one_in(30) { self.random.u8(..) } else { flags });
        body.extend(self.random.u16(..).to_be_bytes());
        let client = if self.one_in(30) { self.any(BAG).to_owned() } else { self.device.clone() };
        text(&mut body, client.as_bytes());
        if will {
            let topic = self.topic();
            text(&mut body, topic.as_bytes());
            text(&mut body, self.any(BODIES).as_bytes());
        }
        let username = match self.random.u32(..30) {
            0 => username.replace('/', self.any(BAG)),
            1 => username[..self.random.usize(..username.len())].to_owned(),
            2 => format!("{username}&{}", self.any(BAG)),
            _ => username.to_owned(),
        };
        text(&mut body, username.as_bytes());
        let password = match self.random.u32(..30) {
            0 => password.replace('&', self.any(BAG)),
            1 => password[..self.random.usize(..password.len())].to_owned(),
            2 => format!("{password}&{}", self.any(BAG)),
            _ => password.to_owned(),
        };
        text(&mut body, password.as_bytes());
        let packet = frame(0x10, &body);
        if self.one_in(8) { self.spoil(packet) } else { packet }
    }

    fn spoil(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        match self.random.u32(..7) {
            0 => {
                for _ in 0..=self.random.usize(..3) {
                    let at = self.random.usize(..packet.len());
                    packet[at] ^= 1 << self.random.u32(..8);
                }
            }
            1 => packet.truncate(self.random.usize(1..=packet.len())),
            // A remaining length that lies.
            2 => packet[1] = self.random.u8(..),
            3 => {
                let length: Vec<u8> = (0..self.random.usize(1..6)).map(|_| self.random.u8(..)).collect();
                packet.splice(1..2, length);
            }
            4 => {
                let at = self.random.usize(..packet.len());
                let garbage: Vec<u8> = (0..self.random.usize(..16)).map(|_| self.random.u8(..)).collect();
                packet.splice(at..at, garbage);
            }
            5 => packet[0] = self.random.u8(..),
            _ => {
                let at = self.random.usize(..packet.len());
                let again = packet[at..].to_vec();
                packet.extend(again);
            }
        }
        packet
    }
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        packet.push(byte | u8::from(length > 0) << 7);
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}
