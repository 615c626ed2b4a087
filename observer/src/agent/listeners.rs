//! Who listens on which TCP ports.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cli::agent::Ports;
use crate::facts::Process;

/// How long a table of sockets is taken for right. Many processes share a network namespace, and the
/// table of a busy host has thousands of lines.
const FRESH: Duration = Duration::from_millis(500);

/// Namespaces that are remembered, at most.
const NAMESPACES: usize = 1_024;

/// Ports of listening sockets by their inodes.
type Table = Rc<BTreeMap<u64, u16>>;

/// Tables of listening sockets, by network namespace.
#[derive(Debug, Default)]
pub struct Listeners(RefCell<HashMap<String, (Instant, Table)>>);

impl Listeners {
    /// Whether a process listens on one of these ports, in its own network namespace.
    pub fn listens(&self, process: &Process, ports: Ports) -> bool {
        let table = self.table(process);
        let wanted: BTreeSet<u64> = table
            .iter()
            .filter(|(_, port)| ports.contains(**port))
            .map(|(inode, _)| *inode)
            .collect();
        if wanted.is_empty() {
            return false;
        }
        let inode = |link: String| {
            let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse::<u64>().ok()
        };
        process
            .descriptors()
            .filter_map(inode)
            .any(|inode| wanted.contains(&inode))
    }

    fn table(&self, process: &Process) -> Table {
        let namespace = std::fs::read_link(process.path("ns/net"));
        let namespace = namespace.map_or_else(
            |_| process.pid.to_string(),
            |link| link.to_string_lossy().into_owned(),
        );
        let mut tables = self.0.borrow_mut();
        if let Some((read, table)) = tables.get(&namespace)
            && read.elapsed() < FRESH
        {
            return Rc::clone(table);
        }
        if tables.len() >= NAMESPACES {
            tables.clear();
        }
        let table = Rc::new(read(process));
        tables.insert(namespace, (Instant::now(), Rc::clone(&table)));
        table
    }
}

/// Listening sockets come first in these files.
fn read(process: &Process) -> BTreeMap<u64, u16> {
    let mut sockets = BTreeMap::new();
    for table in ["net/tcp", "net/tcp6"] {
        let text = process.read(table).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        sockets.extend(text.lines().skip(1).filter_map(listener));
    }
    sockets
}

/// Inode and port of a listening socket in a line of `/proc/net/tcp`.
fn listener(line: &str) -> Option<(u64, u16)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().take(10).collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    Some((
        fields.get(9)?.parse().ok()?,
        u16::from_str_radix(port, 16).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::facts::Proc;

    #[test]
    fn a_listening_socket_is_read_from_its_line() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0";
        assert_eq!(listener(line), Some((12_345, 8_080)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener("x"), None);
    }

    #[test]
    fn only_who_holds_the_socket_listens() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports: Ports = socket
            .local_addr()
            .unwrap()
            .port()
            .to_string()
            .parse()
            .unwrap();
        let proc = Proc::default();
        let listeners = Listeners::default();
        assert!(listeners.listens(&proc.process(std::process::id()), ports));
        assert!(!listeners.listens(&proc.process(1), ports));
    }
}
