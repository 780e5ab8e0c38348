//! Data both ways at once over a TCP connection: for network devices.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::transfer::{receive, send};

/// Waits for the other end and exchanges data with it.
pub(crate) fn listen(address: &str, bytes: u64) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening");
    exchange(&listener.accept()?.0, bytes, 1, 2)
}

/// Connects to an end that listens and exchanges data with it.
pub(crate) fn connect(address: &str, bytes: u64) -> io::Result<()> {
    exchange(&TcpStream::connect(address)?, bytes, 2, 1)
}

fn exchange(stream: &TcpStream, bytes: u64, sent: u64, received: u64) -> io::Result<()> {
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(stream, bytes, sent));
        receive(stream, bytes, received)?;
        sending.join().map_err(|_| io::Error::other("sending panicked"))?
    })?;
    println!("{bytes} bytes each way, all equal");
    Ok(())
}
