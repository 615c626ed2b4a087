//! A name server that knows one name.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;

/// Type of a question for an IPv4 address (RFC 1035, 3.2.2).
const A: [u8; 2] = [0, 1];

/// Answers, at port 53 of `address`, that `name` is this machine, and nothing to all other questions. Its thread ends
/// with the process.
///
/// # Errors
/// When the port can't be had: it needs root.
pub fn serve(address: Ipv4Addr, name: &str) -> io::Result<()> {
    let socket = UdpSocket::bind((address, 53))?;
    let name = encoded(name);
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = answer(&buffer[..len], &name) {
                // Who asked may be gone.
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    Ok(())
}

/// A name as messages have it (RFC 1035, 3.1).
fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.extend(u8::try_from(label.len()));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The answer to a question (RFC 1035, 4.1); nothing to what is too short for one.
fn answer(question: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let (header, rest) = question.split_at_checked(12)?;
    let end = rest.iter().position(|&byte| byte == 0)? + 1;
    let (asked, kind) = (rest.get(..end)?, rest.get(end..end + 4)?);
    let known = asked.eq_ignore_ascii_case(name);
    let address = known && kind.starts_with(&A);
    // A response, recursion available; NXDOMAIN for other names. One question, perhaps an answer, nothing else.
    let mut bytes = vec![header[0], header[1], 0x81, if known { 0x80 } else { 0x83 }];
    bytes.extend([0, 1, 0, u8::from(address), 0, 0, 0, 0]);
    bytes.extend_from_slice(asked);
    bytes.extend_from_slice(kind);
    if address {
        // The name of the question, A, IN, for no time, four bytes.
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        bytes.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let head = [7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&head[..], &encoded(name), &[0, kind, 0, 1]].concat()
    }

    #[test]
    fn one_name_is_known_by_its_address() {
        let name = encoded("a.test");
        let found = answer(&question("A.test", 1), &name).unwrap();
        assert_eq!(found[..8], [7, 9, 0x81, 0x80, 0, 1, 0, 1]);
        assert!(found.ends_with(&[0, 4, 127, 0, 0, 1]));
        let none = answer(&question("a.test", 28), &name).unwrap();
        assert_eq!(none[2..8], [0x81, 0x80, 0, 1, 0, 0]);
        let other = answer(&question("b.test", 1), &name).unwrap();
        assert_eq!(other[2..8], [0x81, 0x83, 0, 1, 0, 0]);
        assert_eq!(answer(&[0; 11], &name), None);
    }
}
