//! The limit: packets prepared before the clock starts, a window of them per write, one thread, blocking.
//! It has no interface, keeps nothing for a reconnect and does no keep-alive; nothing that does can be cheaper.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use iothub_bench::Failure;
use iothub_bench::client::{DEVICE, TOPIC, Task};
use iothub_bench::measure::{Measurement, Section};
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

pub(crate) fn run(task: &Task) -> Result<Measurement, Failure> {
    let mut stream = connect(task)?;
    let window = u64::from(task.window);
    let payload = task.payload();
    let packet_size = publish(1, &payload).len();
    let packets: Vec<u8> = (1..=task.window).flat_map(|id| publish(id, &payload)).collect();
    let expected: Vec<u8> = (1..=task.window).flat_map(|id| [0x40, 2, (id >> 8) as u8, id as u8]).collect();
    let mut acknowledgements = vec![0; expected.len()];

    let section = Section::start();
    let mut left = task.count;
    while left > 0 {
        let now = left.min(window);
        let messages = now as usize;
        stream.write_all(&packets[..messages * packet_size])?;
        let acknowledged = &mut acknowledgements[..messages * 4];
        stream.read_exact(acknowledged)?;
        if acknowledged != &expected[..messages * 4] {
            return Err("the hub acknowledged something else".into());
        }
        left -= now;
    }
    let measurement = section.finish(task.count);

    stream.write_all(&[0xE0, 0])?;
    Ok(measurement)
}

fn connect(task: &Task) -> Result<StreamOwned<ClientConnection, TcpStream>, Failure> {
    let name = ServerName::try_from(task.host.clone())?;
    let mut tls = ClientConnection::new(Arc::new(task.tls()?), name)?;
    // A window goes out in as few system calls as possible, however large it is.
    tls.set_buffer_limit(None);
    let socket = TcpStream::connect((task.host.as_str(), task.port))?;
    socket.set_nodelay(true)?;
    let mut stream = StreamOwned::new(tls, socket);

    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 240];
    text(&mut body, DEVICE);
    stream.write_all(&packet(0x10, &body))?;
    let mut connack = [0; 4];
    stream.read_exact(&mut connack)?;
    if connack != [0x20, 2, 0, 0] {
        return Err("the hub refused the connection".into());
    }
    Ok(stream)
}

fn publish(id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, TOPIC);
    body.extend(id.to_be_bytes());
    body.extend_from_slice(payload);
    packet(0x32, &body)
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = body.len();
    while length >= 128 {
        packet.push((length % 128) as u8 | 0x80);
        length /= 128;
    }
    packet.push(length as u8);
    packet.extend_from_slice(body);
    packet
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}
