//! One byte stream type over TCP, TLS and unix sockets, so that the HTTP code exists once in the binary.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::endpoints::Endpoint;
use crate::tls::Tls;
use crate::{Address, Error, Scheme};

/// A connection to Consul.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects, and agrees on TLS where the address asks for it. The caller sets the time limit.
    pub(crate) async fn open(endpoint: &Endpoint, tls: &Tls) -> Result<Stream, Error> {
        let unreachable = |error: io::Error| Error::Unreachable {
            address: endpoint.to_string(),
            refused: matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound),
            text: error.to_string(),
        };
        let (scheme, host, socket) = match (endpoint.address(), endpoint.socket()) {
            (Address::Unix(path), _) => return UnixStream::connect(path).await.map(Stream::Unix).map_err(unreachable),
            (Address::Tcp { scheme, host, .. }, Some(socket)) => (scheme, host, socket),
            (Address::Tcp { .. }, None) => {
                return Err(unreachable(io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address")));
            }
        };
        let tcp = TcpStream::connect(socket).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        if *scheme == Scheme::Http {
            return Ok(Stream::Tcp(tcp));
        }
        let failed = |text: String| {
            tls.forget();
            Error::Tls { address: endpoint.to_string(), text }
        };
        let connector = TlsConnector::from(tls.client().map_err(failed)?);
        let name = tls.server_name(host).map_err(failed)?;
        match connector.connect(name, tcp).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
