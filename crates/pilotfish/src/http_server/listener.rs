//! Where the server listens: a unix socket that only its owner may use, or a TCP port.

use std::{
    fs::{self, File, Permissions},
    io,
    net::SocketAddr,
    os::{
        fd::AsFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        },
    },
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};

/// The longest path of a unix socket in bytes: `sun_path` has 108, one of them for the end (unix(7)).
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Something to accept connections from.
#[derive(Debug)]
pub(crate) struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Unix { listener: UnixListener, _file: SocketFile },
    Tcp(TcpListener),
}

/// An accepted connection.
pub(super) enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Why nobody can be listened to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// The path does not fit the kernel's structure.
    #[error(
        "control socket {path}: the path has {length} bytes, at most {MAX_SOCKET_PATH_BYTES} are possible; set control.socket to a shorter one"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// Another process listens there.
    #[error("control socket {path} is in use by a running supervisor; stop it, or set control.socket to another path")]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something else than a socket has the name.
    #[error(
        "control socket {path}: a file that is no socket is there; remove it, or set control.socket to another path"
    )]
    NotSocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot open control socket {path}: {action}: {error}; set control.socket to a path that can be written")]
    Socket {
        /// The path.
        path: PathBuf,
        /// What failed.
        action: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The system refused a port.
    #[error("cannot listen on {address}: {error}; set telemetry.port or telemetry.interfaces")]
    Port {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

impl Listener {
    /// Listens on a unix socket with mode 0600.
    ///
    /// A missing parent directory is made, and a socket file whose process is gone is replaced. The file goes with the listener.
    ///
    /// # Errors
    /// As [`BindError`] says; nothing is changed if another process listens there.
    pub(crate) async fn unix(path: &Path) -> Result<Listener, BindError> {
        let length = path.as_os_str().as_bytes().len();
        if length > MAX_SOCKET_PATH_BYTES {
            return Err(BindError::PathTooLong { path: path.to_owned(), length });
        }
        let failed = |action| move |error| BindError::Socket { path: path.to_owned(), action, error };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(directory);
            made.map_err(failed("making its directory"))?;
        }
        remove_stale(path).await?;
        let socket = UnixSocket::new_stream().map_err(failed("making a socket"))?;
        // On Linux the file gets the mode of the socket it is bound to, so there is no moment at which others could connect.
        let owned = socket.as_fd().try_clone_to_owned().map_err(failed("making a socket"))?;
        File::from(owned).set_permissions(Permissions::from_mode(0o600)).map_err(failed("setting its mode"))?;
        socket.bind(path).map_err(failed("binding"))?;
        let file = SocketFile::at(path).map_err(failed("looking at it"))?;
        let listener = socket.listen(BACKLOG).map_err(failed("listening"))?;
        Ok(Listener(Kind::Unix { listener, _file: file }))
    }

    /// Listens on a TCP port; port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError::Port`].
    pub(crate) async fn tcp(address: SocketAddr) -> Result<Listener, BindError> {
        let listener = TcpListener::bind(address).await.map_err(|error| BindError::Port { address, error })?;
        Ok(Listener(Kind::Tcp(listener)))
    }

    /// The address of a TCP listener.
    #[cfg(test)]
    pub(crate) fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().ok(),
            Kind::Unix { .. } => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Connection> {
        match &self.0 {
            Kind::Unix { listener, .. } => listener.accept().await.map(|(stream, _)| Connection::Unix(stream)),
            Kind::Tcp(listener) => listener.accept().await.map(|(stream, _)| Connection::Tcp(stream)),
        }
    }
}

/// Removes a socket file that nobody listens on.
async fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |action| move |error| BindError::Socket { path: path.to_owned(), action, error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at it")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotSocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(BindError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("removing a stale one"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full queue of connections has a listener, too.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(BindError::InUse { path: path.to_owned() }),
        Err(error) => Err(failed("asking whether it is in use")(error)),
    }
}

/// The file of a listening socket, removed with it unless a successor's has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // A file that stays is found stale by the next supervisor.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}
