use proptest::prelude::*;

use super::*;

const HEAD: &[u8] = b"GET /cookie:x HTTP/1.1\r\nHost: a\r\nAUTHORIZATION: Bearer abc\r\n\
    traceparent: 00-x\r\nCookie: a=b; c\r\n\td=e\r\nX-Request-Id: 7\r\nX-Api-Key:k\r\n\r\nbody";
const MASKED: &[u8] = b"GET /cookie:x HTTP/1.1\r\nHost: a\r\nAUTHORIZATION: ****** ***\r\n\
    traceparent: 00-x\r\nCookie: **** *\r\n\t***\r\nX-Request-Id: 7\r\nX-Api-Key:*\r\n\r\nbody";

/// The payload of a record of `len` bytes at `pos`, of which `payload` is captured, once scrubbed.
fn scrubbed(scrubber: &mut Scrubber, class: u8, pos: u64, len: u64, payload: &[u8]) -> Vec<u8> {
    let mut raw = vec![0; size_of::<abi::Data>()];
    raw[offset_of!(abi::Header, kind)] = kind::DATA;
    raw[offset_of!(abi::Header, abi)] = abi::ABI_VERSION;
    raw[offset_of!(abi::Data, class)] = class;
    raw[offset_of!(abi::Data, pos)..][..8].copy_from_slice(&pos.to_ne_bytes());
    let len = u32::try_from(len).unwrap().to_ne_bytes();
    raw[offset_of!(abi::Data, len)..][..4].copy_from_slice(&len);
    raw.extend_from_slice(payload);
    scrubber.scrub(&mut raw);
    raw.split_off(size_of::<abi::Data>())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn secrets_are_masked_in_place() {
    for class in [class::TCP4, class::TCP6, class::UNIX] {
        let masked = scrubbed(&mut Scrubber::default(), class, 0, HEAD.len() as u64, HEAD);
        assert_eq!(text(&masked), text(MASKED));
    }
}

/// A record of FastCGI.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).unwrap();
    let mut bytes = vec![1, kind, 0, 1, 0, len, 2, 0];
    bytes.extend(content);
    bytes.extend([0, 0]);
    bytes
}

/// A request with these parameters, cut into records of `part` bytes.
fn fastcgi(values: [&str; 3], part: usize) -> Vec<u8> {
    let mut params = Vec::new();
    for (name, value) in ["HTTP_COOKIE", "HTTP_TRACEPARENT", "DB_PASSWORD"]
        .iter()
        .zip(values)
    {
        params.push(u8::try_from(name.len()).unwrap());
        params.extend((u32::try_from(value.len()).unwrap() | 1 << 31).to_be_bytes());
        params.extend(name.bytes().chain(value.bytes()));
    }
    let mut bytes = record(1, &[0, 1, 1, 0, 0, 0, 0, 0]);
    for part in params.chunks(part) {
        bytes.extend(record(4, part));
    }
    bytes.extend(record(4, &[]));
    bytes.extend(record(5, b"COOKIE: in a body"));
    bytes
}

#[test]
fn parameters_of_fastcgi_are_masked_wherever_they_are_cut() {
    for part in [7, 99] {
        let plain = fastcgi(["a=b; c", "00-x", "hunter2"], part);
        let masked = fastcgi(["******", "00-x", "*******"], part);
        for cut in 10..plain.len() {
            let mut scrubber = Scrubber::default();
            let mut got = Vec::new();
            let (first, second) = plain.split_at(cut);
            // Requests may follow each other on a connection.
            let more = [second, &plain].concat();
            for (pos, bytes) in [(0, first), (cut, &more)] {
                let len = bytes.len() as u64;
                got.extend(scrubbed(&mut scrubber, class::UNIX, pos as u64, len, bytes));
            }
            assert_eq!(
                text(&got),
                text(&[masked.clone(), masked.clone()].concat()),
                "{cut}"
            );
        }
    }
}

#[test]
fn where_parameters_are_not_known_everything_is_masked() {
    let plain = fastcgi(["a=b; c", "00-x", "hunter2"], 99);
    let mut scrubber = Scrubber::default();
    scrubbed(&mut scrubber, class::UNIX, 0, 30, &plain[..30]);
    let rest = &plain[32..];
    let after_gap = scrubbed(&mut scrubber, class::UNIX, 32, rest.len() as u64, rest);
    assert!(after_gap.iter().all(|b| *b == b'*'));
    let again = scrubbed(&mut scrubber, class::UNIX, 500, plain.len() as u64, &plain);
    assert_eq!(
        text(&again),
        text(&fastcgi(["******", "00-x", "*******"], 99))
    );
}

#[test]
fn messages_in_pipes_stay_as_they_are() {
    let bytes = b"Cookie: a=b\n";
    let mut scrubber = Scrubber::default();
    assert_eq!(scrubbed(&mut scrubber, class::PIPE, 0, 12, bytes), bytes);
}

#[test]
fn positions_at_the_end_of_their_range_are_no_harm() {
    let mut scrubber = Scrubber::default();
    let line = b"Cookie: a=b\r\nHost: a\r\nCookie";
    let last = u64::MAX - 2;
    let masked = scrubbed(&mut scrubber, class::TCP4, last, line.len() as u64, line);
    assert_eq!(masked.len(), line.len());
    let masked = scrubbed(&mut scrubber, class::TCP4, u64::MAX, 4, b": ab");
    assert_eq!(masked.len(), 4);
}

#[test]
fn directions_and_connections_are_lines_of_their_own() {
    let mut scrubber = Scrubber::default();
    let mut raw = |file: u64, flags: u8, payload: &[u8]| {
        let mut raw = vec![0; size_of::<abi::Data>()];
        raw[offset_of!(abi::Header, kind)] = kind::DATA;
        raw[offset_of!(abi::Header, abi)] = abi::ABI_VERSION;
        raw[offset_of!(abi::Header, flags)] = flags;
        raw[offset_of!(abi::Data, class)] = class::TCP4;
        raw[offset_of!(abi::Data, file)..][..8].copy_from_slice(&file.to_ne_bytes());
        raw[offset_of!(abi::Data, len)..][..4].copy_from_slice(&6_u32.to_ne_bytes());
        raw.extend_from_slice(payload);
        scrubber.scrub(&mut raw);
        raw.split_off(size_of::<abi::Data>())
    };
    assert_eq!(raw(1, 0, b"token:"), b"token:");
    assert_eq!(raw(2, 0, b"plain!"), b"plain!");
    assert_eq!(raw(1, data_flag::WRITE, b"plain!"), b"plain!");
}

#[test]
fn a_secret_goes_on_behind_bytes_that_were_not_captured() {
    let mut scrubber = Scrubber::default();
    let mut at =
        |pos, len, bytes: &[u8]| text(&scrubbed(&mut scrubber, class::TCP4, pos, len, bytes));
    assert_eq!(at(0, 100, b"Cookie: ab"), "Cookie: **");
    assert_eq!(at(100, 10, b"cd\r\nHost:e"), "**\r\nHost:e");
    assert_eq!(at(110, 50, b"\r\nCookie: x"), "\r\nCookie: *");
    let next = "GET / HTTP/1.1\r\n";
    assert_eq!(at(300, 16, next.as_bytes()), next);
}

proptest! {
    #[test]
    fn how_bytes_were_cut_into_records_does_not_matter(
        cuts in prop::collection::vec(0..HEAD.len(), 0..20),
        class in prop::sample::select(vec![class::TCP4, class::UNIX]),
    ) {
        let mut cuts = cuts;
        cuts.extend([0, HEAD.len()]);
        cuts.sort_unstable();
        let mut scrubber = Scrubber::default();
        let mut masked = Vec::new();
        for part in cuts.windows(2) {
            let bytes = &HEAD[part[0]..part[1]];
            let (pos, len) = (part[0] as u64, bytes.len() as u64);
            masked.extend(scrubbed(&mut scrubber, class, pos, len, bytes));
        }
        prop_assert_eq!(text(&masked), text(MASKED));
    }

    #[test]
    fn what_is_sent_again_is_masked_again(
        steps in prop::collection::vec((0..60_usize, 1..HEAD.len()), 1..20),
    ) {
        let mut scrubber = Scrubber::default();
        let mut end = 0;
        for (back, len) in steps {
            let start = end - end.min(back);
            let part = start..(start + len).min(HEAD.len());
            end = part.end;
            let bytes = &HEAD[part.clone()];
            let masked =
                scrubbed(&mut scrubber, class::TCP4, part.start as u64, bytes.len() as u64, bytes);
            prop_assert_eq!(text(&masked), text(&MASKED[part]));
        }
    }

    #[test]
    fn any_bytes_keep_their_length(
        records in prop::collection::vec((any::<u64>(), any::<u32>(), any::<Vec<u8>>()), 0..20),
    ) {
        let mut scrubber = Scrubber::default();
        for (pos, len, bytes) in records {
            let masked = scrubbed(&mut scrubber, class::TCP4, pos, u64::from(len), &bytes);
            prop_assert_eq!(masked.len(), bytes.len());
        }
    }
}
