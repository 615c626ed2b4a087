//! What is wrong with a message of which no byte is missing.

use serde::{Deserialize, Serialize};

/// The rule of HTTP/1.x (RFC 9112), or the limit of the observer, that a message breaks so that it can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// Neither a request line nor a status line is where one must be (§3, §4).
    FirstLine,
    /// A field's name has a character that names can't have (§5); white space before the colon and folded lines of a
    /// request are such.
    FieldName,
    /// A field's value has a control character (§5.5).
    FieldValue,
    /// A carriage return without a line feed (§2.2).
    LineEnd,
    /// More fields than are read.
    TooManyFields,
    /// A longer head than is read.
    TooLong,
    /// `Content-Length` is no number, or several differ (§6.3).
    ContentLength,
    /// `Transfer-Encoding` does not say where the body ends, or comes in HTTP/1.0 (§6.1).
    TransferEncoding,
    /// A chunk does not begin with its size (§7.1).
    ChunkSize,
    /// A chunk is not as long as it says (§7.1).
    ChunkEnd,
    /// A longer trailer than is read (§7.1.2).
    Trailer,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::FirstLine,
        Self::FieldName,
        Self::FieldValue,
        Self::LineEnd,
        Self::TooManyFields,
        Self::TooLong,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::ChunkSize,
        Self::ChunkEnd,
        Self::Trailer,
    ];

    /// What is wrong, in words that go on after a colon.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::FirstLine => "no request line or status line of HTTP/1 where one must be",
            Self::FieldName => {
                "a character that a field's name can't have, such as white space before the colon, or a folded line"
            }
            Self::FieldValue => "a control character in a field's value",
            Self::LineEnd => "a line that does not end as lines of HTTP do",
            Self::TooManyFields => "more than 256 fields",
            Self::TooLong => "a head of more than 64 KiB",
            Self::ContentLength => "Content-Length is no number, or several differ",
            Self::TransferEncoding => "Transfer-Encoding does not tell where the body ends",
            Self::ChunkSize => "a chunk that does not begin with its size",
            Self::ChunkEnd => "a chunk that is not as long as it says",
            Self::Trailer => "fields after the last chunk that are too long",
        }
    }
}

/// Which of the two messages of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// The request.
    Request,
    /// The response.
    Response,
}
