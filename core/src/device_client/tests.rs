use std::sync::mpsc;

use super::*;
use crate::error::ErrorKind;
use crate::io::Ack;

fn config() -> Config {
    let mut config = Config::new();
    config.set_connection_string("HostName=localhost;DeviceId=d;SharedAccessKey=AAAA").unwrap();
    config
}

/// What a panic on the I/O thread comes down to.
#[test]
fn a_client_whose_driver_is_gone_ends() {
    let (client, connection) = DeviceClient::assemble(config(), Hosting::Threads).unwrap();
    let driver = Driver::new(connection);
    let (sender, ends) = mpsc::channel();
    let tell = |what| {
        let sender = sender.clone();
        Completion::new(move |result| sender.send((what, result.unwrap_err().kind())).unwrap())
    };
    client.send_with(&Message::new("m"), tell("send")).unwrap();
    client.connect_with(tell("connect")).unwrap();
    drop(driver);
    assert_eq!(ends.recv().unwrap(), ("send", ErrorKind::Closed));
    assert_eq!(ends.recv().unwrap(), ("connect", ErrorKind::Closed));
    let refused = client.send(&Message::new("m")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
    client.free();
}

/// A task that was aborted takes its driver with it.
#[test]
fn a_client_that_nobody_drives_any_more_ends() {
    let (client, driver) = DeviceClient::driven(config()).unwrap();
    let (sender, ends) = mpsc::channel();
    let done = Completion::new(move |result| sender.send(result.unwrap_err().kind()).unwrap_or_default());
    client.send_with(&Message::new("m"), done).unwrap();
    drop(driver);
    assert_eq!(ends.try_recv(), Ok(ErrorKind::Closed));
    assert_eq!(client.send(&Message::new("m")).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn no_twin_request_is_taken_once_the_client_is_being_closed() {
    let (client, _driver) = DeviceClient::driven(config()).unwrap();
    drop(client.twin_get().unwrap());
    drop(client.close(Duration::from_secs(10)).unwrap());
    assert_eq!(client.twin_get().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(client.twin_patch(b"{}").unwrap_err().kind(), ErrorKind::Closed);
}

/// There is no thread to wait for.
#[test]
fn freeing_a_client_without_threads_waits_for_nobody() {
    let (client, driver) = DeviceClient::driven(config()).unwrap();
    let (sender, freed) = mpsc::channel();
    std::thread::spawn(move || {
        client.free();
        sender.send(()).unwrap();
    });
    freed.recv_timeout(Duration::from_secs(10)).unwrap();
    drop(driver);
}

#[test]
fn a_handler_that_panics_is_called_again() {
    let client = DeviceClient::threaded(config()).unwrap();
    let (sender, states) = mpsc::channel();
    client.on_status(Some(Box::new(move |status| {
        sender.send(status.state).unwrap();
        assert_eq!(status.state, crate::ConnectionState::Closed, "as the test wants it");
    })));
    drop(client.connect().unwrap());
    assert_eq!(states.recv().unwrap(), crate::ConnectionState::Connecting);
    drop(client.close(Duration::ZERO).unwrap());
    while states.recv_timeout(Duration::from_secs(10)).unwrap() != crate::ConnectionState::Closed {}
}

#[test]
fn a_client_may_be_freed_by_what_its_handler_owns() {
    struct Frees(DeviceClient, mpsc::Sender<()>);
    impl Drop for Frees {
        fn drop(&mut self) {
            self.0.free();
            self.1.send(()).unwrap();
        }
    }
    let client = DeviceClient::threaded(config()).unwrap();
    let (sender, freed) = mpsc::channel();
    let frees = Frees(client.clone(), sender);
    client.on_status(Some(Box::new(move |_| {
        let _ = &frees;
    })));
    drop(client.close(Duration::ZERO).unwrap());
    freed.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn a_refused_handler_is_not_kept() {
    let client = DeviceClient::threaded(config()).unwrap();
    let owned = Arc::new(());
    let handler = |owned: &Arc<()>| -> Option<MessageHandler> {
        let owned = Arc::clone(owned);
        Some(Box::new(move |_, _| {
            let _ = &owned;
            Ack::Now
        }))
    };
    client.free();
    assert_eq!(client.on_message(handler(&owned)).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(Arc::strong_count(&owned), 1);
}

#[test]
fn after_the_end_close_is_refused_at_once() {
    let client = DeviceClient::threaded(config()).unwrap();
    let (sender, refusals) = mpsc::channel();
    let inner = client.clone();
    client.on_status(Some(Box::new(move |status| {
        assert_eq!(status.state, crate::ConnectionState::Closed);
        let again = inner.close(Duration::ZERO).map(drop);
        sender.send((again.unwrap_err().kind(), inner.connect().map(drop).unwrap_err().kind())).unwrap();
    })));
    drop(client.close(Duration::ZERO).unwrap());
    let refusal = refusals.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(refusal, (ErrorKind::Closed, ErrorKind::Closed));
}
