//! Open file descriptions: what they are and what is fed from them to which stage.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use smol_str::format_smolstr;

use crate::attribution::PipeKey;
use crate::exchange::{Draw, Endpoint};
use crate::facts::FileFacts;
use crate::ids::FileId;
use crate::judged::Address;
use crate::record::{Class, Direction, File, TcpAddresses};
use crate::text::{Text, printable, printable_bytes};

/// Descriptions that are remembered; the one unused longest is forgotten first.
const MAX_FILES: usize = 131_072;

/// What was found out about a log from outside.
#[derive(Debug)]
struct Named {
    /// Its path as the output shows it.
    path: Text,
    /// The standard stream of its process that it is: 1 or 2.
    stream: Option<i32>,
}

/// What is known about one description.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) class: Class,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) draw: Draw,
    /// Unix: neither end has a name, as with a socket pair.
    unnamed: bool,
    /// Opened for append: a pipe opened so (`/dev/stdout` by name, as nginx does) is a log.
    append: bool,
    ino: u64,
    peer_ino: u64,
}

/// What a record's bytes are taken as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A connection between processes.
    Connection,
    /// Perhaps a message between threads of one process.
    Pipe(PipeKey),
    /// A connection that may be either.
    Pair(PipeKey),
    /// A log.
    Log,
    /// Nothing that matters.
    Nothing,
}

/// All descriptions that are remembered.
#[derive(Debug)]
pub(super) struct Files {
    described: LruCache<FileId, Description>,
    /// What was found out about logs; that may be before the description, which the front stage holds back.
    named: LruCache<FileId, Named>,
}

impl Default for Files {
    fn default() -> Self {
        const LIMIT: NonZeroUsize = NonZeroUsize::new(MAX_FILES).expect("not zero");
        Self {
            described: LruCache::sparse(LIMIT),
            named: LruCache::sparse(LIMIT),
        }
    }
}

impl Files {
    pub(super) fn describe(&mut self, file: &File<'_>) {
        let address = |a: fn(TcpAddresses) -> SocketAddr| file.tcp.map(a).map(Address::Tcp);
        let path = || Text::new(printable_bytes(path_name(file.path)));
        let unix = (file.class == Class::Unix).then(|| Address::Unix(path()));
        let endpoint = Endpoint {
            local: address(|t| t.local)
                .or_else(|| unix.clone())
                .unwrap_or(Address::Unknown),
            peer: address(|t| t.remote).or(unix).unwrap_or(Address::Unknown),
            unix_own: (file.class == Class::Unix).then_some(file.ino),
            unix_peer: file.peer_ino.filter(|_| file.class == Class::Unix),
        };
        let description = Description {
            class: file.class,
            endpoint: Arc::new(endpoint),
            draw: Draw::new(file.lot, file.keep),
            unnamed: file.path.is_empty(),
            append: file.append,
            ino: file.ino,
            peer_ino: file.peer_ino.unwrap_or(0),
        };
        self.described.push(file.file, description);
    }

    pub(super) fn name(&mut self, facts: &FileFacts) {
        let named = Named {
            path: format_smolstr!("file:{}", printable(&facts.path)),
            stream: facts.stream.map(i32::from),
        };
        self.named.push(facts.file, named);
    }

    /// The descriptor that a description is known by: that of the standard stream which it is, whatever
    /// other number was used.
    pub(super) fn descriptor(&mut self, file: FileId, fd: i32) -> i32 {
        let named = self.named.get(&file);
        named.and_then(|named| named.stream).unwrap_or(fd)
    }

    pub(super) fn get(&mut self, file: FileId) -> Option<&Description> {
        self.described.get(&file)
    }

    /// The output's name of a log.
    pub(super) fn source(&mut self, file: FileId, fd: i32) -> Text {
        match fd {
            1 => return Text::new_static("stdout"),
            2 => return Text::new_static("stderr"),
            _ => {}
        }
        if self.get(file).is_some_and(|d| d.class == Class::Pipe) {
            return Text::new_static("pipe");
        }
        let named = self.named.get(&file);
        named.map_or(Text::new_static("file:?"), |named| named.path.clone())
    }

    /// Forgets all of them; which these are.
    pub(super) fn forget(&mut self) -> Vec<FileId> {
        let mut known: Vec<FileId> = self.described.iter().map(|(file, _)| *file).collect();
        known.sort_unstable();
        self.described.clear();
        self.named.clear();
        known
    }

    pub(super) fn close(&mut self, file: FileId) {
        self.described.pop(&file);
        self.named.pop(&file);
    }
}

/// A socket's path without the zero that ends it in the kernel; the name of an abstract one begins with
/// a zero, and may hold others (unix(7)).
fn path_name(path: &[u8]) -> &[u8] {
    match path {
        [first, .., 0] if *first != 0 => &path[..path.len() - 1],
        path => path,
    }
}

impl Description {
    pub(super) fn ino(&self) -> u64 {
        self.ino
    }

    /// Inode number, if it is a pipe.
    pub(super) fn pipe(&self) -> Option<u64> {
        (self.class == Class::Pipe).then_some(self.ino)
    }

    pub(super) fn content(&self, direction: Direction, fd: i32) -> Content {
        let written = direction == Direction::Write;
        match self.class {
            Class::Tcp => Content::Connection,
            Class::Unix if self.unnamed && self.peer_ino != 0 => Content::Pair(if written {
                PipeKey {
                    from: self.ino,
                    to: self.peer_ino,
                }
            } else {
                PipeKey {
                    from: self.peer_ino,
                    to: self.ino,
                }
            }),
            Class::Unix => Content::Connection,
            Class::Pipe if written && (self.append || fd == 1 || fd == 2) => Content::Log,
            Class::Pipe => Content::Pipe(PipeKey {
                from: self.ino,
                to: self.ino,
            }),
            Class::Tty | Class::Log if written => Content::Log,
            Class::Tty | Class::Log => Content::Nothing,
        }
    }
}
