//! What goes to a connected client without having been asked for in the same breath.

use bytes::{Bytes, BytesMut};

use super::packet;
use super::rules::Subject;
use super::turn::Client;

impl Client {
    /// Sends the queued messages, if the client subscribed to them.
    pub(super) fn deliver(&mut self, out: &mut BytesMut) {
        let Some(qos) = self.broker.granted(&self.identity, Subject::of_queue(&self.identity)) else {
            return;
        };
        while let Some((packet_id, delivery)) = self.broker.next_queued(&self.identity, qos) {
            packet::write_publish(out, &delivery.topic, packet_id, false, &delivery.body);
        }
        self.next_unlock = self.broker.unlock_queued(&self.identity);
    }

    /// What a resumed session gets right after CONNACK: the unacknowledged messages, then the queue.
    pub(super) fn resume(&mut self, out: &mut BytesMut) {
        for (packet_id, delivery) in self.broker.resend_queued(&self.identity) {
            packet::write_publish(out, &delivery.topic, packet_id, true, &delivery.body);
        }
        self.deliver(out);
    }

    /// Sends at the granted QoS, and not at all to a client that did not subscribe.
    pub(super) fn send(&self, subject: Subject, topic: &str, body: &Bytes, out: &mut BytesMut) {
        self.send_at(self.broker.granted(&self.identity, subject), topic, body, out);
    }

    /// Sends the call of a method to a client that subscribed to it.
    pub(super) fn call(&self, name: &str, rid: &str, body: &Bytes, out: &mut BytesMut) {
        let topic = format!("$iothub/methods/POST/{name}/?$rid={rid}");
        self.send_at(self.broker.granted_method(&self.identity, name), &topic, body, out);
    }

    fn send_at(&self, granted: Option<u8>, topic: &str, body: &Bytes, out: &mut BytesMut) {
        let packet_id = match granted {
            None => return,
            Some(0) => 0,
            Some(_) => self.broker.next_packet_id(&self.identity),
        };
        packet::write_publish(out, topic, packet_id, false, body);
    }
}
