#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;

use super::*;
use crate::completion::Completion;
use crate::io::backoff::Backoff;
use crate::io::{Endpoint, Greet, Hosting, Via, assemble};
use crate::mqtt::Settings;

const LIMIT: Duration = Duration::from_secs(30);

/// A bug of ours, which a C program sees as a status code.
#[test]
fn a_panic_inside_ends_the_client() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = Endpoint {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port: listener.local_addr().unwrap().port(),
        via: Via::default(),
        tls: None,
        websocket: None,
        connect_timeout: LIMIT,
        stall_timeout: LIMIT,
        unacknowledged_timeout: Duration::from_secs(90),
        signing: None,
        backoff: Backoff::default(),
    };
    let (set, bell) = FdSet::new().unwrap();
    let greet = Greet::Now(Box::new(|| panic!("as the test wants it")));
    let (shared, connection) = assemble(endpoint, greet, Settings::default(), None, Hosting::Manual(bell));
    let manual = Manual::new(set, connection);
    let (sender, ends) = mpsc::channel();
    shared.connect(Completion::new(move |result| sender.send(result.map(drop)).unwrap())).unwrap();
    while catch_unwind(AssertUnwindSafe(|| manual.process(Some(LIMIT)).unwrap())).is_ok() {}
    assert_eq!(manual.process(Some(LIMIT)).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(ends.try_recv().unwrap().unwrap_err().kind(), ErrorKind::Closed);
}
