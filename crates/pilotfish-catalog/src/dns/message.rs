//! Messages (RFC 1035, 4): a question in, records out. There is no more of the format than the catalog needs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The largest message over UDP for who says nothing else (RFC 1035, 4.2.1).
const UDP_SIZE: usize = 512;

/// The largest message over UDP for who takes more (RFC 6891); a larger one would be sent in fragments that networks lose.
const UDP_SIZE_MAX: usize = 4096;

/// The longest name in bytes (RFC 1035, 2.3.4).
const NAME_MAX: usize = 255;

pub(super) const A: u16 = 1;
pub(super) const NS: u16 = 2;
const CNAME: u16 = 5;
pub(super) const SOA: u16 = 6;
pub(super) const AAAA: u16 = 28;
pub(super) const SRV: u16 = 33;
const OPT: u16 = 41;
pub(super) const ANY: u16 = 255;
const IN: u16 = 1;

/// How a question is answered (RFC 1035, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    NoError = 0,
    FormatError = 1,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    id: u16,
    recursion_desired: bool,
    /// The question as it was sent.
    question: Vec<u8>,
    /// The labels of the name, the first one first.
    pub(super) labels: Vec<Vec<u8>>,
    /// What is asked for.
    pub(super) kind: u16,
    /// The largest answer over UDP in bytes, if the question tells one (EDNS).
    size: Option<usize>,
}

/// What cannot be answered as a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswerable {
    /// Too short, or an answer itself: whoever sent it would only be confused.
    Ignored,
    /// The whole answer.
    Told(Vec<u8>),
}

/// Reads a question.
pub(super) fn read(bytes: &[u8]) -> Result<Query, Unanswerable> {
    let Some((head, _)) = bytes.split_at_checked(12) else { return Err(Unanswerable::Ignored) };
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (id, flags) = (word(0), word(2));
    if flags & 0x8000 != 0 {
        return Err(Unanswerable::Ignored);
    }
    let refused = |code: Code| {
        let flags = 0x8000 | flags & 0x7900 | code as u16;
        Unanswerable::Told([id.to_be_bytes(), flags.to_be_bytes(), [0; 2], [0; 2], [0; 2], [0; 2]].concat())
    };
    if flags & 0x7800 != 0 {
        return Err(refused(Code::NotImplemented));
    }
    if word(4) != 1 {
        return Err(refused(Code::FormatError));
    }
    let (labels, end) = read_name(bytes, 12).ok_or_else(|| refused(Code::FormatError))?;
    let rest = bytes.get(end..end + 4).ok_or_else(|| refused(Code::FormatError))?;
    Ok(Query {
        id,
        recursion_desired: flags & 0x0100 != 0,
        question: bytes[12..end + 4].to_vec(),
        labels,
        kind: u16::from_be_bytes([rest[0], rest[1]]),
        size: (word(6) == 0 && word(8) == 0 && word(10) == 1).then(|| edns(&bytes[end + 4..])).flatten(),
    })
}

/// The name of a question: it is the first one, so it refers to no other.
fn read_name(bytes: &[u8], begin: usize) -> Option<(Vec<Vec<u8>>, usize)> {
    let (mut labels, mut at) = (Vec::new(), begin);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels, at));
        }
        // The two highest bits would make it a reference, or something that nobody uses.
        let label = bytes.get(at..at + length).filter(|_| length < 64)?;
        labels.push(label.to_vec());
        at += length;
        if at - begin >= NAME_MAX {
            return None;
        }
    }
}

/// The size that an OPT record tells (RFC 6891, 6.1.2).
fn edns(record: &[u8]) -> Option<usize> {
    let head = record.get(..11)?;
    let opt = head[0] == 0 && u16::from_be_bytes([head[1], head[2]]) == OPT;
    opt.then(|| usize::from(u16::from_be_bytes([head[3], head[4]])).clamp(UDP_SIZE, UDP_SIZE_MAX))
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(String),
    Ns(String),
    Srv { weight: u16, port: u16, target: String },
    Soa { server: String, mailbox: String, serial: u32 },
}

/// A record; nothing in place of the name means the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) name: Option<String>,
    pub(super) data: Data,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) code: Code,
    pub(super) answers: Vec<Record>,
    pub(super) authority: Vec<Record>,
    pub(super) additional: Vec<Record>,
}

impl Query {
    /// The largest answer over UDP in bytes.
    pub(super) fn udp_size(&self) -> usize {
        self.size.unwrap_or(UDP_SIZE)
    }

    /// The answer in at most `limit` bytes; what is left out of the answers is told, so that who asked comes over TCP.
    pub(super) fn write(&self, response: &Response, limit: usize) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes.resize(12, 0);
        writer.bytes.extend_from_slice(&self.question);
        let end = limit.saturating_sub(if self.size.is_some() { 11 } else { 0 });
        let answers = writer.add(&response.answers, end);
        let truncated = answers < response.answers.len();
        let authority = if truncated { 0 } else { writer.add(&response.authority, end) };
        let mut additional = if truncated { 0 } else { writer.add(&response.additional, end) };
        if self.size.is_some() {
            writer.bytes.push(0);
            let size = UDP_SIZE_MAX as u16;
            for word in [OPT, size, 0, 0, 0] {
                writer.word(word);
            }
            additional += 1;
        }
        let mut flags = 0x8000 | response.code as u16;
        for (bit, set) in
            [(0x0400, response.code != Code::Refused), (0x0200, truncated), (0x0100, self.recursion_desired)]
        {
            flags |= if set { bit } else { 0 };
        }
        // A message is at most 65,535 bytes long, so no count is larger.
        let head = [self.id, flags, 1, answers as u16, authority as u16, additional as u16];
        for (at, word) in head.into_iter().enumerate() {
            writer.bytes[2 * at..2 * at + 2].copy_from_slice(&word.to_be_bytes());
        }
        writer.bytes
    }
}

/// A message that is being written, and where names in it begin.
#[derive(Debug, Default)]
struct Writer {
    bytes: Vec<u8>,
    names: BTreeMap<String, u16>,
}

impl Writer {
    /// Adds records until one does not fit; how many did.
    fn add(&mut self, records: &[Record], limit: usize) -> usize {
        for (count, record) in records.iter().enumerate() {
            let before = self.bytes.len();
            self.record(record);
            if self.bytes.len() > limit {
                self.bytes.truncate(before);
                self.names.retain(|_, at| usize::from(*at) < before);
                return count;
            }
        }
        records.len()
    }

    fn word(&mut self, word: u16) {
        self.bytes.extend_from_slice(&word.to_be_bytes());
    }

    fn record(&mut self, record: &Record) {
        match &record.name {
            // The question stands behind the head.
            None => self.word(0xc00c),
            Some(name) => self.name(name),
        }
        let kind = match &record.data {
            Data::A(_) => A,
            Data::Aaaa(_) => AAAA,
            Data::Cname(_) => CNAME,
            Data::Ns(_) => NS,
            Data::Srv { .. } => SRV,
            Data::Soa { .. } => SOA,
        };
        // The time to live is always 0, as Consul's: what is true now need not be in a second.
        for word in [kind, IN, 0, 0, 0] {
            self.word(word);
        }
        let begin = self.bytes.len();
        match &record.data {
            Data::A(address) => self.bytes.extend_from_slice(&address.octets()),
            Data::Aaaa(address) => self.bytes.extend_from_slice(&address.octets()),
            Data::Cname(name) | Data::Ns(name) => self.name(name),
            Data::Srv { weight, port, target } => {
                for word in [1, *weight, *port] {
                    self.word(word);
                }
                // Not as a reference (RFC 2782).
                self.plain(target);
            }
            Data::Soa { server, mailbox, serial } => {
                self.name(server);
                self.name(mailbox);
                // Refresh, retry and expiry in seconds, and the time for which an absence may be remembered.
                for number in [*serial, 3600, 600, 86400, 0] {
                    self.bytes.extend_from_slice(&number.to_be_bytes());
                }
            }
        }
        // The data of a record is a few names at most.
        let length = (self.bytes.len() - begin) as u16;
        self.bytes[begin - 2..begin].copy_from_slice(&length.to_be_bytes());
    }

    /// A name, or a reference to where it already stands.
    fn name(&mut self, name: &str) {
        if let Some(at) = self.names.get(name) {
            self.word(0xc000 | at);
            return;
        }
        if let Ok(at) = u16::try_from(self.bytes.len())
            && at < 0x4000
        {
            self.names.insert(name.to_owned(), at);
        }
        self.plain(name);
    }

    fn plain(&mut self, name: &str) {
        let begin = self.bytes.len();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            // Names of nodes and hosts may be longer than DNS can say: then they are cut, and lead nowhere.
            let label = &label.as_bytes()[..label.len().min(63)];
            if self.bytes.len() - begin + label.len() + 2 > NAME_MAX {
                break;
            }
            self.bytes.push(label.len() as u8);
            self.bytes.extend_from_slice(label);
        }
        self.bytes.push(0);
    }
}
