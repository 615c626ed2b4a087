//! Records as the probes would make them of a shop under load: a gateway that serves each request
//! on a thread of its own, calls a second service for it and logs, with both services watched.

use observer_abi::{ABI_VERSION, Data, File, Header, class, data_flag, kind};

/// Process of the service that users call.
pub const GATEWAY: u32 = 1000;
/// Process of the service that it calls.
pub const CART: u32 = 2000;
/// Requests that are served at once.
const LANES: u32 = 32;
/// Between two records: what 100 000 of them a second leave.
const STEP_NANOS: u64 = 10_000;
/// Records that one request makes, descriptions of its connections apart.
pub const RECORDS_PER_REQUEST: u32 = 10;

/// Records, one after another.
#[derive(Default)]
pub struct Traffic {
    bytes: Vec<u8>,
    /// Where each record ends.
    ends: Vec<usize>,
    now: u64,
    seq: u32,
}

/// One end of a connection, or a log, and how many bytes each direction has moved.
struct Open {
    file: u64,
    tgid: u32,
    tid: u32,
    class: u8,
    fd: i32,
    read: u64,
    written: u64,
}

/// What serves one request at a time: a thread of each process, and what they talk through.
struct Lane {
    user: Open,
    out: Open,
    cart: Open,
    gateway_log: Open,
    cart_log: Open,
}

impl Traffic {
    /// The records of `requests` requests.
    pub fn of(requests: u32) -> Self {
        let mut traffic = Self {
            now: 1_000_000_000,
            ..Self::default()
        };
        let mut lanes: Vec<Lane> = (0..LANES).map(|n| traffic.lane(n)).collect();
        for round in 0..requests / LANES {
            for step in 0..RECORDS_PER_REQUEST {
                for (lane, open) in (0_u32..).zip(&mut lanes) {
                    traffic.step(step, round * LANES + lane, open);
                }
            }
        }
        traffic
    }

    /// The records, with the time of each.
    pub fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| {
            let raw = &self.bytes[start..*end];
            let mut time = [0; 8];
            let at = std::mem::offset_of!(Header, time);
            time.copy_from_slice(&raw[at..at + 8]);
            (u64::from_ne_bytes(time), raw)
        })
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    fn lane(&mut self, n: u32) -> Lane {
        let port = |base: u16| base + u16::try_from(n).unwrap_or(0);
        let (user, cart) = (port(40_000), port(50_000));
        let file = u64::from(n) * 8 + 1;
        let (gateway_tid, cart_tid) = (GATEWAY + 1 + n, CART + 1 + n);
        let socket = |file, tgid, tid| Open {
            file,
            tgid,
            tid,
            class: class::TCP4,
            fd: 7,
            read: 0,
            written: 0,
        };
        let log = |tgid, tid| Open {
            // One description for all threads of a process.
            file: u64::from(tgid),
            tgid,
            tid,
            class: class::LOG,
            fd: 1,
            read: 0,
            written: 0,
        };
        let lane = Lane {
            user: socket(file, GATEWAY, gateway_tid),
            out: socket(file + 1, GATEWAY, gateway_tid),
            cart: socket(file + 2, CART, cart_tid),
            gateway_log: log(GATEWAY, gateway_tid),
            cart_log: log(CART, cart_tid),
        };
        self.describe(&lane.user, 8080, user);
        self.describe(&lane.out, cart, 8081);
        self.describe(&lane.cart, 8081, cart);
        if n == 0 {
            self.describe(&lane.gateway_log, 0, 0);
            self.describe(&lane.cart_log, 0, 0);
        }
        lane
    }

    fn step(&mut self, step: u32, n: u32, lane: &mut Lane) {
        // Spread over all bits, as random ids are.
        let trace = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        match step {
            0 => self.read(&mut lane.user, &request("/checkout", n, trace, 1)),
            1 => self.line(&mut lane.gateway_log, "checkout begins", n, Some(trace)),
            2 => self.write(&mut lane.out, &request("/cart/items", n, trace, 2)),
            3 => self.read(&mut lane.cart, &request("/cart/items", n, trace, 2)),
            4 => self.line(&mut lane.cart_log, "listing items", n, Some(trace)),
            5 => self.write(&mut lane.cart, RESPONSE),
            6 => self.read(&mut lane.out, RESPONSE),
            7 => self.line(&mut lane.gateway_log, "cart was read", n, None),
            8 => self.line(&mut lane.gateway_log, "checkout done", n, Some(trace)),
            _ => self.write(&mut lane.user, RESPONSE),
        }
    }

    fn read(&mut self, open: &mut Open, bytes: &[u8]) {
        let pos = open.read;
        open.read += bytes.len() as u64;
        self.data(open, 0, pos, bytes);
    }

    fn write(&mut self, open: &mut Open, bytes: &[u8]) {
        let pos = open.written;
        open.written += bytes.len() as u64;
        self.data(open, data_flag::WRITE, pos, bytes);
    }

    /// Every other line is JSON.
    fn line(&mut self, open: &mut Open, says: &str, n: u32, trace: Option<u128>) {
        let line = match trace {
            Some(trace) => format!(
                r#"{{"time":"2026-01-01T00:00:00.000Z","level":"info","message":"{says}","order":{n},"trace_id":"{trace:032x}","span_id":"00f067aa0ba902b7"}}"#
            ),
            None => format!("2026-01-01 00:00:00,000 INFO [shop.worker] {says} for order {n}"),
        };
        // The position in a log that several threads write is the sum of all of theirs; lines are
        // whole, so that a hole between them tells nothing.
        self.write(open, format!("{line}\n").as_bytes());
    }

    fn data(&mut self, open: &Open, flags: u8, pos: u64, bytes: &[u8]) {
        let moved = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.header(kind::DATA, flags, open, size_of::<Data>() + bytes.len());
        self.put(&open.file.to_ne_bytes());
        self.put(&pos.to_ne_bytes());
        self.put(&moved.to_ne_bytes());
        self.put(&moved.to_ne_bytes());
        self.put(&open.fd.to_ne_bytes());
        self.put(&[0, 0, open.class, 0]);
        self.put(&[0; 16]);
        self.put(bytes);
        self.ends.push(self.bytes.len());
    }

    fn describe(&mut self, open: &Open, local: u16, remote: u16) {
        const LOOPBACK: [u8; 16] = [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let end = self.bytes.len() + size_of::<File>();
        self.header(kind::FILE, 0, open, size_of::<File>());
        self.put(&open.file.to_ne_bytes());
        self.put(&open.file.to_ne_bytes());
        self.put(&0_u64.to_ne_bytes());
        self.put(&open.fd.to_ne_bytes());
        self.put(&0_u32.to_ne_bytes());
        self.put(&LOOPBACK);
        self.put(&LOOPBACK);
        self.put(&local.to_ne_bytes());
        self.put(&remote.to_ne_bytes());
        self.put(&[open.class, 0]);
        self.bytes.resize(end, 0);
        self.ends.push(end);
    }

    fn header(&mut self, kind: u8, flags: u8, open: &Open, len: usize) {
        self.now += STEP_NANOS;
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.put(&[kind, flags, 0, ABI_VERSION]);
        self.put(&len.to_ne_bytes());
        self.put(&self.now.to_ne_bytes());
        self.put(&open.tgid.to_ne_bytes());
        self.put(&open.tid.to_ne_bytes());
        self.put(&0_u32.to_ne_bytes());
        self.put(&self.seq.to_ne_bytes());
        self.seq = self.seq.wrapping_add(1);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

/// What a service answers.
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: shop/1.0\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
Content-Type: application/json\r\nContent-Length: 64\r\nConnection: keep-alive\r\n\r\n\
{\"order\":4711,\"items\":[{\"sku\":\"a-1\",\"count\":2}],\"total\":\"12.50\"}";

fn request(path: &str, n: u32, trace: u128, parent: u64) -> Vec<u8> {
    format!(
        "GET {path}?order={n} HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: python-requests/2.32.3\r\n\
Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\
traceparent: 00-{trace:032x}-{parent:016x}-01\r\ntracestate: vendor=t61rcWkgMzE\r\n\
Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use observer_core::record::decode;

    use super::*;

    #[test]
    fn all_records_are_valid() {
        let traffic = Traffic::of(2 * LANES);
        let data = 2 * LANES * RECORDS_PER_REQUEST;
        assert_eq!(traffic.len(), (data + 3 * LANES + 2) as usize);
        for (time, raw) in traffic.records() {
            let record = decode(raw).expect("valid");
            assert_eq!(record.time.0, time);
        }
    }
}
