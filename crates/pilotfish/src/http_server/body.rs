//! The body of an answer: all at once, or a piece at a time as things happen.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Body(Content);

#[derive(Debug)]
enum Content {
    Full(Bytes),
    Stream(mpsc::Receiver<Bytes>),
    Copy(mpsc::Receiver<io::Result<Bytes>>),
}

/// The writing end of a body that grows; the body ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Streamer(mpsc::Sender<Bytes>);

/// Why a piece was not taken; either way the client is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The client went away.
    Gone,
    /// The client lags further behind than its backlog allows.
    Lagging,
}

impl Body {
    /// A body that is complete.
    pub(crate) fn full(content: impl Into<Bytes>) -> Body {
        Body(Content::Full(content.into()))
    }

    /// A body that grows; at most `backlog` (at least 1) pieces wait for the client.
    pub(crate) fn stream(backlog: usize) -> (Streamer, Body) {
        let (sender, receiver) = mpsc::channel(backlog.max(1));
        (Streamer(sender), Body(Content::Stream(receiver)))
    }

    /// A body that may fail half-way: after an error the connection is cut, so that nobody takes what there is for the whole.
    pub(crate) fn copy(pieces: mpsc::Receiver<io::Result<Bytes>>) -> Body {
        Body(Content::Copy(pieces))
    }
}

impl Streamer {
    /// Adds a piece, never waiting.
    ///
    /// # Errors
    /// The piece is lost; whoever wants every piece drops the streamer, so that the client sees an end rather than a gap.
    pub(crate) fn send(&self, piece: impl Into<Bytes>) -> Result<(), Refused> {
        self.0.try_send(piece.into()).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Lagging,
            mpsc::error::TrySendError::Closed(_) => Refused::Gone,
        })
    }

    /// Whether the client is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Content::Full(content) if content.is_empty() => Poll::Ready(None),
            Content::Full(content) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(content))))),
            Content::Stream(pieces) => pieces.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
            Content::Copy(pieces) => pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Content::Full(content) if content.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Full(content) => SizeHint::with_exact(content.len() as u64),
            Content::Stream(_) | Content::Copy(_) => SizeHint::default(),
        }
    }
}
