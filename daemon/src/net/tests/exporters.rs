//! Exporters that mean ill, up to where the first URB goes out.

use p2pusb_protocol::{Attached, EndReason, MAX_OFFERED_DEVICES, OfferedDevice, Pin, Resumed, ShownPin, Speed};

use super::*;

fn offer(number: usize, product: String) -> Bytes {
    let device = OfferedDevice {
        id: format!("d{number}"),
        vendor_id: 0x1209,
        product_id: 1,
        class: 0,
        speed: Speed::High,
        available: true,
        manufacturer: String::new(),
        product,
        interfaces: Vec::new(),
    };
    ControlMessage::DeviceOffered(device).encode()
}

async fn exporting() -> (Daemon, Endpoint, Connection, SendStream, RecvStream) {
    let exporter = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&exporter, Some(address(&exporter)))]).await;
    let (connection, tx, rx) = export(&exporter, MAJOR).await;
    daemon.shown("online", |view| view.state == "online").await;
    (daemon, exporter, connection, tx, rx)
}

#[tokio::test]
async fn more_devices_than_allowed_end_the_link() {
    let (daemon, _exporter, connection, mut tx, _rx) = exporting().await;
    for number in 0..=MAX_OFFERED_DEVICES {
        let _ = tx.write_all(&offer(number, String::new())).await;
    }
    let (code, reason) = closed(&connection).await;
    assert_eq!((code, reason), (CloseCode::ProtocolViolation, "it offers more than 256 devices".to_owned()));
    daemon.stop().await;
}

#[tokio::test]
async fn a_device_may_change_as_often_as_it_likes() {
    let (daemon, _exporter, connection, mut tx, _rx) = exporting().await;
    tx.write_all(&offer(0, "first".to_owned())).await.unwrap();
    must("the engine's answer", daemon.engine.sync()).await;
    let before = resident();
    for number in 0..20_000 {
        tx.write_all(&offer(number % 3, format!("number {number}"))).await.unwrap();
        if number % 5 == 0 {
            let id = format!("d{}", number % 4);
            tx.write_all(&ControlMessage::DeviceWithdrawn { id }.encode()).await.unwrap();
        }
        if number % 1000 == 0 {
            // Whoever else wants something of the engine gets it meanwhile.
            must("the engine's answer", daemon.engine.sync()).await;
        }
    }
    assert!(connection.close_reason().is_none());
    assert!(resident() < before + (32 << 20), "{before} bytes became {}", resident());
    daemon.stop().await;
}

#[tokio::test]
async fn news_of_sessions_that_are_not_there_are_nothing() {
    let (daemon, _exporter, connection, mut tx, _rx) = exporting().await;
    let before = resident();
    for number in 0..25_000 {
        let session = SessionId(1 + number);
        let attached = Attached { session, speed: Speed::High, vendor_id: 1, product_id: 1 };
        for message in [
            ControlMessage::Attached(attached),
            ControlMessage::Resumed(Resumed { session, lanes: Vec::new() }),
            ControlMessage::Ended { session, reason: EndReason::Detached },
        ] {
            tx.write_all(&message.encode()).await.unwrap();
        }
    }
    tx.write_all(&offer(0, "last".to_owned())).await.unwrap();
    must("the engine's answer", daemon.engine.sync()).await;
    assert!(connection.close_reason().is_none());
    assert!(resident() < before + (32 << 20), "{before} bytes became {}", resident());
    daemon.stop().await;
}

#[tokio::test]
async fn a_session_is_told_no_more_than_there_is_to_tell() {
    let (daemon, _exporter, connection, mut tx, _rx) = exporting().await;
    let link = daemon.connected().await;
    // Nobody takes what it is told.
    let _notices = link.attach(SessionId(1), "d0".to_owned(), None).await;
    let attached = Attached { session: SessionId(1), speed: Speed::High, vendor_id: 1, product_id: 1 };
    for _ in 0..10 {
        let _ = tx.write_all(&ControlMessage::Attached(attached.clone()).encode()).await;
    }
    let (code, reason) = closed(&connection).await;
    assert_eq!((code, reason.as_str()), (CloseCode::ProtocolViolation, "it sent a message out of order"));
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_the_importers_to_say_ends_the_link() {
    let session = SessionId(1);
    for message in [
        ControlMessage::Attach(Attach { session, device: "d0".to_owned() }),
        ControlMessage::Detach { session },
        ControlMessage::Unlink { session, endpoint: 0x81, seq: 1 },
        ControlMessage::Resume(p2pusb_protocol::Resume { session, lanes: Vec::new() }),
        ControlMessage::Pin(ShownPin { session, pin: Pin::new("1234".to_owned()).unwrap() }),
    ] {
        let (daemon, _exporter, connection, mut tx, _rx) = exporting().await;
        tx.write_all(&message.encode()).await.unwrap();
        let (code, reason) = closed(&connection).await;
        assert_eq!((code, reason.as_str()), (CloseCode::ProtocolViolation, "it sent a message out of order"));
        daemon.stop().await;
    }
}

#[tokio::test]
async fn streams_are_the_importers_to_open() {
    let (daemon, _exporter, connection, _tx, _rx) = exporting().await;
    let (mut stream, _) = must("a stream", connection.open_bi()).await.unwrap();
    stream.write_all(&[0; 64]).await.unwrap();
    let (code, reason) = closed(&connection).await;
    assert_eq!((code, reason.as_str()), (CloseCode::ProtocolViolation, "it opened a stream"));
    daemon.stop().await;
}
