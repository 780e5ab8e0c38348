//! Frames over QUIC streams.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use iroh::endpoint::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};
use p2pusb_protocol::{FrameLimits, LaneMessage, PREFIX_LEN, Prefix, ProtocolError};
use tokio::time::timeout;

use crate::buffers::Buffers;

/// The priority of control, interrupt and isochronous lanes, which go before bulk lanes. Theirs is 0.
pub(crate) const PRIORITY_URGENT: i32 = 1;

/// How long a peer may leave a control stream unread before its link is closed. A connection that is dead is given up
/// sooner; this is for a peer that lives, and makes us keep what it does not want to hear. The tests wait for it.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 20 });

/// A frame as it came: its header is not decoded yet, its lengths are within the limits.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Which message.
    pub(crate) kind: u16,
    /// postcard.
    pub(crate) header: Bytes,
    /// Raw.
    pub(crate) payload: Bytes,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The stream or its connection failed.
    #[error("the stream failed: {0}")]
    Stream(#[from] ReadError),
    /// It ended in the middle of a frame.
    #[error("the stream ended in the middle of a frame")]
    Truncated,
    /// The peer broke the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

/// The first part of a frame, and how much is still to come.
#[derive(Debug)]
pub(crate) struct Head {
    /// Which message.
    pub(crate) kind: u16,
    /// postcard.
    pub(crate) header: Bytes,
    /// The length of the payload, which is still to be read.
    pub(crate) payload_len: u32,
}

/// Reads one frame; `None` when the stream ended properly. Not cancel safe: read in a task of its own.
pub(crate) async fn read_frame(from: &mut RecvStream, limits: FrameLimits) -> Result<Option<Frame>, FrameError> {
    let Some(head) = read_head(from, limits, &BytesMut::with_capacity).await? else { return Ok(None) };
    let payload = read_bytes(from, head.payload_len as usize, &BytesMut::with_capacity).await?;
    Ok(Some(Frame { kind: head.kind, header: head.header, payload }))
}

/// Reads a frame of a lane up to its payload, for a reader that knows from the header what may follow.
pub(crate) async fn read_lane_head(from: &mut RecvStream, buffers: &Buffers) -> Result<Option<Head>, FrameError> {
    read_head(from, FrameLimits::LANE, &|len| buffers.take(len)).await
}

/// Reads the payload behind a [`Head`], with memory of `buffers`.
pub(crate) async fn read_lane_payload(from: &mut RecvStream, len: u32, buffers: &Buffers) -> Result<Bytes, FrameError> {
    read_bytes(from, len as usize, &|len| buffers.take(len)).await
}

/// Reads past the payload behind a [`Head`] that means nothing to us, and keeps none of it.
pub(crate) async fn skip_payload(from: &mut RecvStream, len: u32) -> Result<(), FrameError> {
    let mut left = len as usize;
    while left > 0 {
        left -= from.read_chunk(left).await?.ok_or(FrameError::Truncated)?.len();
    }
    Ok(())
}

async fn read_head(
    from: &mut RecvStream,
    limits: FrameLimits,
    take: &impl Fn(usize) -> BytesMut,
) -> Result<Option<Head>, FrameError> {
    let mut prefix = [0; PREFIX_LEN];
    match from.read_exact(&mut prefix).await {
        Ok(()) => {}
        Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(ReadExactError::FinishedEarly(_)) => return Err(FrameError::Truncated),
        Err(ReadExactError::ReadError(error)) => return Err(error.into()),
    }
    let prefix = Prefix::decode(prefix);
    prefix.check(limits)?;
    let header = read_bytes(from, prefix.header_len.into(), take).await?;
    Ok(Some(Head { kind: prefix.kind, header, payload_len: prefix.payload_len }))
}

/// Reads exactly `length` bytes; without a copy where one chunk holds them all.
async fn read_bytes(
    from: &mut RecvStream,
    length: usize,
    take: &impl Fn(usize) -> BytesMut,
) -> Result<Bytes, FrameError> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    let first = from.read_chunk(length).await?.ok_or(FrameError::Truncated)?;
    if first.len() == length {
        return Ok(first);
    }
    let mut all = take(length);
    all.extend_from_slice(&first);
    while all.len() < length {
        let chunk = from.read_chunk(length - all.len()).await?.ok_or(FrameError::Truncated)?;
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// Writes one frame: `head` is prefix and header as a message encodes itself.
pub(crate) async fn write_frame(to: &mut SendStream, head: Bytes, payload: Bytes) -> Result<(), WriteError> {
    if payload.is_empty() { to.write_chunk(head).await } else { to.write_all_chunks(&mut [head, payload]).await }
}

/// Writes a message on a lane. Its payload has two parts, either of which may be empty.
pub(crate) async fn write_lane_frame(
    to: &mut SendStream,
    message: LaneMessage,
    payload: Payload,
    buffers: &Buffers,
) -> Result<(), WriteError> {
    let mut head = buffers.take(LaneMessage::MAX_ENCODED);
    message.encode_into(payload.len(), &mut head);
    let head = head.freeze();
    let Payload { table, data } = payload;
    match (table.is_empty(), data.is_empty()) {
        (true, _) => write_frame(to, head, data).await,
        (false, true) => write_frame(to, head, table).await,
        (false, false) => to.write_all_chunks(&mut [head, table, data]).await,
    }
}

/// What stands behind the header of a lane's frame.
#[derive(Debug, Clone, Default)]
pub(crate) struct Payload {
    /// The table of an isochronous URB's packets; empty for every other one.
    pub(crate) table: Bytes,
    /// The data of the URB.
    pub(crate) data: Bytes,
}

impl Payload {
    /// Bytes on the wire.
    pub(crate) fn len(&self) -> u32 {
        // Within a URB's limits, both of them.
        (self.table.len() + self.data.len()) as u32
    }
}

/// Writes one frame to a control stream. An error, for people, means that the link is of no use any longer.
pub(crate) async fn write_control(to: &mut SendStream, head: Bytes, payload: Bytes) -> Result<(), String> {
    match timeout(UNREAD_TIMEOUT, write_frame(to, head, payload)).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(_) => Err("it does not read its control stream".to_owned()),
    }
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        io::Error::other(error)
    }
}
