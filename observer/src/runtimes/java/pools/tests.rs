//! The bytecode by which `runWorker` is told from other methods.

use super::*;

/// Bytes before the bytecode: Java 17's header.
const BEFORE: usize = 0x30;

/// As Java 17 keeps it, with numbers instead of names: the call of the task is at 10.
const CODE: [u8; 24] = [
    0xb8, 0x40, 0x00, 0x4d, 0x2b, 0xcb, 0x41, 0x00, 0x4e, 0x2d, 0xb9, 0x0a, 0x00, 0x01, 0x00, 0x2a,
    0x2d, 0x01, 0xb6, 0x22, 0x01, 0xa7, 0x00, 0x0f,
];

fn method(before: usize, code: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x7f; before];
    bytes.extend(code);
    bytes.resize(HEADER + code.len(), 0);
    bytes
}

#[test]
fn the_call_of_the_task_is_found_behind_headers_of_any_size() {
    for before in [BEFORE, 0x38, 0x40] {
        let bytes = method(before, &CODE);
        assert_eq!(call_of_task(&bytes, CODE.len()), Some(10), "{before}");
    }
    assert_eq!(call_of_task(&method(HEADER, &CODE), CODE.len()), None);
}

#[test]
fn a_method_that_begins_or_calls_otherwise_is_another_one() {
    for (at, byte) in [
        (0, 0xb6),
        (3, 0x4e),
        (4, 0x2a),
        (8, 0x4d),
        (9, 0x2c),
        (10, 0xb6),
        (13, 2),
    ] {
        let mut code = CODE;
        code[at] = byte;
        assert_eq!(
            call_of_task(&method(BEFORE, &code), code.len()),
            None,
            "{at}"
        );
    }
}

#[test]
fn which_of_two_calls_is_meant_is_not_guessed() {
    let twice = [&CODE[..], &CODE[9..]].concat();
    assert_eq!(call_of_task(&method(BEFORE, &twice), twice.len()), None);
}

#[test]
fn a_method_that_is_cut_off_is_none() {
    let bytes = method(BEFORE, &CODE);
    assert_eq!(call_of_task(&bytes[..BEFORE + 12], CODE.len()), None);
    assert_eq!(call_of_task(&bytes, usize::from(u16::MAX)), None);
    assert_eq!(call_of_task(&[], 0), None);
}
