//! TLS records to what is in them.

use std::io::Read;

use bytes::BytesMut;
use rustls::ClientConnection;

/// Appends what `received` holds to `plain`. Returns whether the peer has said goodbye: what it
/// sends after that counts for nothing, and rustls would not take it.
pub(super) fn decrypt(
    tls: &mut ClientConnection,
    mut received: &[u8],
    plain: &mut BytesMut,
) -> Result<bool, rustls::Error> {
    while !received.is_empty() {
        // Reading from a slice fails only when a buffer of rustls is full, and each is emptied below.
        if tls.read_tls(&mut received).is_err() {
            return Err(rustls::Error::General("a TLS buffer is full".into()));
        }
        let state = tls.process_new_packets()?;
        let left = state.plaintext_bytes_to_read();
        if left > 0 {
            let start = plain.len();
            plain.resize(start + left, 0);
            let read = tls.reader().read(&mut plain[start..]).unwrap_or(0);
            plain.truncate(start + read);
        }
        if state.peer_has_closed() {
            return Ok(true);
        }
    }
    Ok(false)
}
