//! Framing: records of either direction (FastCGI specification 1.0, §3.3).

/// Bytes of a record's header.
pub(super) const HEADER: usize = 8;

/// The only version there is.
const VERSION: u8 = 1;

/// Content of `FCGI_BEGIN_REQUEST` and `FCGI_END_REQUEST`, in bytes.
pub(super) const FIXED_BODY: u16 = 8;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request begins.
    Begin,
    /// Its client no longer wants the answer.
    Abort,
    /// It is answered.
    End,
    /// A part of its name-value pairs.
    Params,
    /// A part of its body.
    Stdin,
    /// A part of the answer.
    Stdout,
    /// What the application reports.
    Stderr,
    /// A file, for filters.
    Data,
    /// About the connection itself.
    Management,
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: Kind,
    /// The request that it belongs to; 0 for the connection.
    pub id: u16,
    /// Bytes of content.
    pub len: u16,
    /// Bytes after the content that mean nothing.
    pub padding: u8,
}

impl Header {
    /// Reads a header; `None` if it is none.
    pub fn parse(bytes: [u8; HEADER]) -> Option<Self> {
        let [version, kind, id1, id0, len1, len0, padding, reserved] = bytes;
        let header = Self {
            kind: kind_of(kind)?,
            id: u16::from_be_bytes([id1, id0]),
            len: u16::from_be_bytes([len1, len0]),
            padding,
        };
        let of_connection = header.kind == Kind::Management;
        let fits = match header.kind {
            Kind::Begin | Kind::End => header.len == FIXED_BODY,
            _ => true,
        };
        (version == VERSION && reserved == 0 && fits && of_connection == (header.id == 0))
            .then_some(header)
    }
}

fn kind_of(number: u8) -> Option<Kind> {
    Some(match number {
        1 => Kind::Begin,
        2 => Kind::Abort,
        3 => Kind::End,
        4 => Kind::Params,
        5 => Kind::Stdin,
        6 => Kind::Stdout,
        7 => Kind::Stderr,
        8 => Kind::Data,
        9..=11 => Kind::Management,
        _ => return None,
    })
}

/// A piece of a record's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub header: Header,
    pub content: &'a [u8],
    /// The record's content is complete with it.
    pub last: bool,
}

/// Where in which record a direction is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reader {
    /// In a header, of which this many bytes are known.
    Header { bytes: [u8; HEADER], known: usize },
    /// In the content: bytes left.
    Content { header: Header, left: u16 },
    /// In the padding: bytes left.
    Padding(u8),
}

impl Default for Reader {
    fn default() -> Self {
        Self::Header {
            bytes: [0; HEADER],
            known: 0,
        }
    }
}

/// The bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRecord;

impl Reader {
    /// Goes on by at least one of `bytes`, which must not be empty: how many were used, and the piece
    /// of content that they are.
    pub fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Option<Piece<'a>>), NoRecord> {
        match *self {
            Self::Header {
                bytes: mut head,
                known,
            } => {
                let used = bytes.len().min(HEADER - known);
                head[known..known + used].copy_from_slice(&bytes[..used]);
                let known = known + used;
                if known < HEADER {
                    *self = Self::Header { bytes: head, known };
                    return Ok((used, None));
                }
                let header = Header::parse(head).ok_or(NoRecord)?;
                if header.len > 0 {
                    let left = header.len;
                    *self = Self::Content { header, left };
                    return Ok((used, None));
                }
                *self = Self::after(header);
                let empty = Piece {
                    header,
                    content: &[],
                    last: true,
                };
                Ok((used, Some(empty)))
            }
            Self::Content { header, left } => {
                let used = u16::try_from(bytes.len()).map_or(left, |n| n.min(left));
                let last = used == left;
                *self = if last {
                    Self::after(header)
                } else {
                    let left = left - used;
                    Self::Content { header, left }
                };
                let used = usize::from(used);
                let piece = Piece {
                    header,
                    content: &bytes[..used],
                    last,
                };
                Ok((used, Some(piece)))
            }
            Self::Padding(left) => {
                let used = u8::try_from(bytes.len()).map_or(left, |n| n.min(left));
                *self = Self::padding(left - used);
                Ok((usize::from(used), None))
            }
        }
    }

    /// Goes over `n` bytes that were not seen: the record whose content they were taken from, and
    /// whether that is over. Nothing is known any more once a header is among them.
    pub fn skip(&mut self, n: u64) -> Result<Option<(Header, bool)>, NoRecord> {
        let (header, room, padding) = match *self {
            Self::Header { .. } => return if n == 0 { Ok(None) } else { Err(NoRecord) },
            Self::Content { header, left } => (Some(header), left, header.padding),
            Self::Padding(left) => (None, 0, left),
        };
        let beyond = n.saturating_sub(u64::from(room));
        let over = u8::try_from(beyond).map_err(|_| NoRecord)?;
        let left = padding.checked_sub(over).ok_or(NoRecord)?;
        match header {
            Some(header) if n < u64::from(room) => {
                let left = room - u16::try_from(n).map_err(|_| NoRecord)?;
                *self = Self::Content { header, left };
                Ok(Some((header, false)))
            }
            _ => {
                *self = Self::padding(left);
                Ok(header.map(|h| (h, true)))
            }
        }
    }

    /// The record whose content comes next, and how much of it.
    pub fn content_left(&self) -> Option<(Header, u16)> {
        match *self {
            Self::Content { header, left } => Some((header, left)),
            _ => None,
        }
    }

    fn after(header: Header) -> Self {
        Self::padding(header.padding)
    }

    fn padding(left: u8) -> Self {
        match left {
            0 => Self::default(),
            left => Self::Padding(left),
        }
    }
}
