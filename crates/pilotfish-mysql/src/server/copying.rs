//! Copies of the data from one member to another, without a whole copy on anybody's disk on the way.
//!
//! MariaDB: the donor's operator runs `mariadb-backup | zstd` and serves what comes out over HTTP; the receiver unpacks it as it arrives, and
//! prepares it. MySQL: a new server clones the donor's by itself.

use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pilotfish_autopilot::{ClusterId, Flavour};
use pilotfish_process::{Command, Exit};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Donor, Server, failed};
use crate::error::Error;
use crate::http::{self, PIECE, SILENCE};
use crate::launch::{pipe, read_all, run};
use crate::settings::Secret;
use crate::sql::{OPERATOR, derived, quote};
use crate::task::beside;

/// Pieces that wait for the network.
const PIECES: usize = 8;
/// How long a copy waits for its turn.
const TURN: Duration = Duration::from_secs(50);

/// A copy as it is made. Dropping it ends the programs that make it.
pub struct CopyStream {
    pieces: mpsc::Receiver<Result<Bytes, Error>>,
}

impl CopyStream {
    /// The next piece; an error if the copy is not whole, and then nothing more.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        self.pieces.recv().await
    }
}

impl Server {
    fn copy_key(&self, cluster: ClusterId) -> Secret {
        derived(&self.shared.credentials.replication_password, &format!("pilotfish copy {:016x}", cluster.0))
    }

    /// Gives a copy to who shows the cluster's key.
    pub(crate) async fn give_copy(&self, authorization: &str, cluster: ClusterId) -> Result<CopyStream, Error> {
        let key = self.copy_key(cluster);
        if authorization != format!("Bearer {}", key.expose()) {
            return Err(Error::Unfit("only members of the cluster may copy its data".into()));
        }
        if self.flavour() == Flavour::MySql {
            return Err(Error::Unfit("MySQL's data is copied by its own CLONE".into()));
        }
        let Ok(Ok(permit)) = timeout(TURN, self.shared.copying.clone().acquire_owned()).await else {
            return Err(Error::Unfit("another copy is being made, and takes long; one at a time".into()));
        };
        let backup = self.tool(
            "mariadb-backup",
            &[
                format!("--defaults-file={}", self.client_file().display()),
                "--backup".into(),
                "--stream=xbstream".into(),
                format!("--datadir={}", self.data().display()),
                format!("--target-dir={}", self.shared.settings.run_directory.join("backup").display()),
            ],
        )?;
        let backup = Command { user: None, ..self.command(backup) };
        let zstd = self.command(self.tool("zstd", &["-q".into(), "-1".into(), "-c".into()])?);
        let (to_zstd, from_backup) = pipe()?;
        let (ours, theirs) = socket()?;
        let launcher = &self.shared.launcher;
        let backup = launcher.start(Command { output: Some(to_zstd), ..backup }).await?;
        let zstd = launcher.start(Command { input: Some(from_backup), output: Some(theirs), ..zstd }).await?;
        let (sender, pieces) = mpsc::channel(PIECES);
        let launcher = launcher.clone();
        beside(async move {
            let _permit = permit;
            let runs = [backup.run, zstd.run];
            let ends = async { tokio::join!(read_all(backup, |_| {}), read_all(zstd, |_| {})) };
            tokio::pin!(ends);
            let forwarded = tokio::select! {
                forwarded = forward(ours, &sender) => forwarded,
                () = sender.closed() => false,
            };
            if !forwarded {
                runs.iter().for_each(|run| launcher.kill(*run));
            }
            let (backup, zstd) = ends.await;
            let whole = |ended: Result<(Exit, String), Error>, program: &str| match ended? {
                (Exit::Code(0), _) => Ok(()),
                (exit, output) => Err(Error::Failed { program: program.into(), exit, output }),
            };
            if let Err(error) = whole(backup, "mariadb-backup").and(whole(zstd, "zstd")) {
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(CopyStream { pieces })
    }

    /// Builds a copy of a donor's data in an empty directory.
    pub(crate) async fn copy_into(&self, new: &Path, donor: &Donor) -> Result<(), Error> {
        self.give_to_user(new)?;
        match self.flavour() {
            Flavour::MariaDb => self.receive(new, donor).await,
            Flavour::MySql => self.clone_from(new, donor).await,
        }
    }

    async fn receive(&self, new: &Path, donor: &Donor) -> Result<(), Error> {
        let zstd = self.command(self.tool("zstd", &["-q".into(), "-d".into(), "-c".into()])?);
        let unpack = self.tool("mbstream", &["-x".into(), "-C".into(), new.display().to_string()])?;
        let unpack = self.command(unpack);
        let (ours, theirs) = socket()?;
        let (to_unpack, from_zstd) = pipe()?;
        let launcher = &self.shared.launcher;
        let zstd = launcher.start(Command { input: Some(theirs), output: Some(to_unpack), ..zstd }).await?;
        let unpack = launcher.start(Command { input: Some(from_zstd), ..unpack }).await?;
        let runs = [zstd.run, unpack.run];
        let fetched = self.fetch(donor, ours).await;
        if fetched.is_err() {
            runs.iter().for_each(|run| launcher.kill(*run));
        }
        let (zstd, unpack) = tokio::join!(read_all(zstd, |_| {}), read_all(unpack, |_| {}));
        fetched?;
        for (ended, program) in [(zstd, "zstd"), (unpack, "mbstream")] {
            let (exit, output) = ended?;
            if exit != Exit::Code(0) {
                return Err(Error::Failed { program: program.into(), exit, output });
            }
        }
        let prepare = ["--no-defaults".into(), "--prepare".into(), format!("--target-dir={}", new.display())];
        run(launcher, self.command(self.tool("mariadb-backup", &prepare)?)).await?;
        self.set_position(new).await
    }

    /// Streams the donor's copy into a socket; an error if it ends before it is whole.
    async fn fetch(&self, donor: &Donor, mut to: UnixStream) -> Result<(), Error> {
        let key = self.copy_key(donor.cluster);
        let address = format!("{}:{}", donor.host, donor.api_port);
        let unreachable = |error: std::io::Error| Error::Unreachable {
            doing: "copying the data of another member",
            text: format!("{address}: {error}"),
        };
        let work = async {
            let authorization = format!("Authorization: Bearer {}\r\n", key.expose());
            let (status, mut stream) = http::get(&address, "/v1/copy", &authorization).await?;
            if status != 200 {
                let text = http::text(stream, 1000).await?;
                let text = text.lines().find(|line| line.len() > 8).unwrap_or_default().trim().to_owned();
                return Err(std::io::Error::other(format!("status {status}: {text}")));
            }
            while let Some(mut left) = chunk(&mut stream).await? {
                let mut piece = vec![0; PIECE.min(left)];
                while left > 0 {
                    let most = piece.len().min(left);
                    let read = timeout(SILENCE, stream.read(&mut piece[..most])).await??;
                    if read == 0 {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                    to.write_all(&piece[..read]).await?;
                    left -= read;
                }
                let mut end = [0; 2];
                stream.read_exact(&mut end).await?;
            }
            to.shutdown().await
        };
        work.await.map_err(unreachable)
    }

    /// A copied server has an empty binary log: it is told where its data stands, as the backup has noted.
    async fn set_position(&self, new: &Path) -> Result<(), Error> {
        let names = ["mariadb_backup_binlog_info", "xtrabackup_binlog_info"];
        let path = names.iter().map(|name| new.join(name)).find(|path| path.is_file());
        let path = path.unwrap_or_else(|| new.join(names[1]));
        let text = std::fs::read_to_string(&path).map_err(|source| failed("read", &path, source))?;
        let position = text.split_whitespace().nth(2).unwrap_or_default();
        let password = derived(&self.shared.credentials.replication_password, "pilotfish operator");
        let (started, mut connection) = self.start_alone(new, &[], OPERATOR, &password).await?;
        let statements = [
            "RESET MASTER".to_owned(),
            format!("SET GLOBAL gtid_binlog_state = {}", quote(position)),
            format!("SET GLOBAL gtid_slave_pos = {}", quote(position)),
        ];
        let set = connection.run_all("setting the position of a copy", &statements).await;
        if let Err(error) = set {
            self.shared.launcher.kill(started.run);
            let _ = started.gone.await;
            return Err(error);
        }
        drop(connection);
        self.stop_alone(started).await
    }

    /// MySQL: an empty server takes over all of the donor's data, and ends.
    async fn clone_from(&self, new: &Path, donor: &Donor) -> Result<(), Error> {
        /// The server cannot start itself again (ER_RESTART_SERVER_FAILED): the clone is complete.
        const COMPLETE: u16 = 3707;
        let data = format!("--datadir={}", new.display());
        let mut argv = self.shared.installation.program.clone();
        argv.extend(["--no-defaults".into(), "--initialize-insecure".into(), data]);
        run(&self.shared.launcher, self.command(argv)).await?;
        let options = ["--super-read-only=0", "--read-only=0"];
        let (started, mut connection) = self.start_alone(new, &options, "root", &Secret::default()).await?;
        let credentials = &self.shared.credentials;
        let doing = "cloning another member's data";
        let valid = format!("SET GLOBAL clone_valid_donor_list = {}", quote(&format!("{}:{}", donor.host, donor.port)));
        let clone = format!(
            "CLONE INSTANCE FROM {}@{}:{} IDENTIFIED BY {}",
            quote(&credentials.replication_user),
            quote(&donor.host),
            donor.port,
            quote(credentials.replication_password.expose())
        );
        let cloned = match connection.run(doing, &valid).await {
            Ok(()) => connection.run(doing, &clone).await,
            refused => refused,
        };
        match cloned {
            Ok(()) | Err(Error::Refused { code: COMPLETE, .. } | Error::Unreachable { .. }) => {}
            Err(error) => {
                self.shared.launcher.kill(started.run);
                let _ = started.gone.await;
                return Err(error);
            }
        }
        started.gone.await.map_err(|_| Error::Ending)?;
        // The files are put in place when it starts again, by the paths that they have here.
        let password = derived(&credentials.replication_password, "pilotfish operator");
        let (started, connection) = self.start_alone(new, &[], OPERATOR, &password).await?;
        drop(connection);
        self.stop_alone(started).await
    }
}

/// A socket for us, and its other end for a program.
fn socket() -> Result<(UnixStream, Arc<std::os::fd::OwnedFd>), Error> {
    let make = || {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((UnixStream::from_std(ours)?, Arc::new(theirs.into())))
    };
    make().map_err(|source| Error::File { doing: "make", path: "a pair of sockets".into(), source })
}

/// Passes on what a program writes; false if nobody wants it any more.
async fn forward(mut from: UnixStream, to: &mpsc::Sender<Result<Bytes, Error>>) -> bool {
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        match from.read_buf(&mut piece).await {
            Ok(0) | Err(_) => return true,
            Ok(_) => {}
        }
        if to.send(Ok(piece.freeze())).await.is_err() {
            return false;
        }
    }
}

/// The length of the next chunk; `None` at the end.
async fn chunk(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<usize>> {
    let mut line = String::new();
    timeout(SILENCE, stream.read_line(&mut line)).await??;
    if line.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let length = usize::from_str_radix(line.trim(), 16);
    let length = length.map_err(|_| std::io::Error::other(format!("`{}` is no length of a chunk", line.trim())))?;
    Ok((length > 0).then_some(length))
}
