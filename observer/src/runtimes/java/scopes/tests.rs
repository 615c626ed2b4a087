//! What compiled code says of its frames, as Java 17 and Java 25 write it, and what it must not be taken for.

use super::*;

/// The call of a task in `runWorker`'s bytecode.
const BCI: u32 = 92;
const SIZE: u32 = 0x1000;
const FRAME: u64 = 320;

/// Numbers as they are written where so many bytes from 0 on are excluded.
fn write(numbers: &[u32], excluded: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let byte = |digit: u32| u8::try_from(digit + u32::from(excluded)).expect("a digit");
    for number in numbers {
        let mut rest = *number;
        for digit in 0..5 {
            let low = 256 - 64 - u32::from(excluded);
            if rest < low || digit == 4 {
                bytes.push(byte(rest));
                break;
            }
            let value = low + ((rest - low) & 63);
            bytes.push(byte(value));
            rest = (rest - value) >> 6;
        }
    }
    bytes
}

/// A value in the slot at `offset`, an object.
fn on_stack(offset: u32) -> [u32; 2] {
    [LOCATION, OOP | (offset / 4) << OFFSET_SHIFT]
}

fn description(at: u32, scope: u32) -> Vec<u8> {
    [at, scope, 0, 0].map(u32::to_ne_bytes).concat()
}

/// Scopes of a method that is at `bci` where it calls something that was inlined, and calls something in turn: that of the first begins at
/// 1, of the second where this says. Its variables are `values`.
fn scopes(bci: u32, values: &[u32], excluded: u8) -> (Vec<u8>, u32) {
    // Nothing begins at 0, which stands for none.
    let mut bytes = vec![0xff];
    let outer = |variables| write(&[0, 4, bci + 1, variables, 0, 0], excluded);
    let variables = 1 + u32::try_from(outer(0).len()).expect("few");
    bytes.extend(outer(variables));
    bytes.extend(write(values, excluded));
    let inner = u32::try_from(bytes.len()).expect("few");
    bytes.extend(write(&[1, 300, 70_000, 0, 0, 0], excluded));
    (bytes, inner)
}

/// As Java 17's C1 wrote them: pool, worker, thread and task.
fn variables() -> Vec<u32> {
    let slots = [224, 216, 232, 240].map(on_stack).concat();
    [vec![8], slots].concat()
}

fn read(scope: u32, bytes: &[u8]) -> Option<[Slot; 3]> {
    let table = description(0x100, scope);
    let calls = calls(&table, bytes, SIZE, FRAME, BCI);
    assert!(calls.len() <= 1);
    calls.first()?.variables
}

#[test]
fn variables_are_read_in_both_encodings_and_from_inlined_calls() {
    for excluded in [0, 1] {
        let (bytes, inner) = scopes(BCI, &variables(), excluded);
        for scope in [1, inner] {
            assert_eq!(read(scope, &bytes), Some([216, 232, 240]), "{excluded}");
        }
    }
}

#[test]
fn what_the_callee_saves_is_found_beside_the_address() {
    let in_register = [LOCATION, OOP | IN_REGISTER | RBP << OFFSET_SHIFT];
    let mut values = variables();
    values.splice(7..9, in_register);
    let (bytes, _) = scopes(BCI, &values, 1);
    assert_eq!(read(1, &bytes), Some([216, 232, frame::SAVED]));
    values[8] = OOP | IN_REGISTER | 6 << OFFSET_SHIFT;
    let (bytes, _) = scopes(BCI, &values, 1);
    assert_eq!(read(1, &bytes), None, "other registers are not saved");
}

#[test]
fn other_calls_are_known_and_have_no_task() {
    let (bytes, inner) = scopes(26, &variables(), 0);
    let table = [description(0x40, 1), description(0x80, inner)].concat();
    let places = calls(&table, &bytes, SIZE, FRAME, BCI);
    let at: Vec<_> = places
        .iter()
        .map(|call| (call.at, call.variables))
        .collect();
    assert_eq!(at, [(0x40, None), (0x80, None)]);
}

#[test]
fn values_that_are_no_objects_on_the_stack_are_not_taken_for_some() {
    let replaced = |at: usize, values: &[u32]| {
        let mut all = variables();
        all.splice(at..at + 2, values.iter().copied());
        let (bytes, _) = scopes(BCI, &all, 0);
        read(1, &bytes)
    };
    let narrow = [LOCATION, 9 | 60 << OFFSET_SHIFT];
    let wide = [LOCATION, OOP | 1_000 << OFFSET_SHIFT];
    let odd = [LOCATION, OOP | 3 << OFFSET_SHIFT];
    let constant = [CONSTANT_OOP, 7];
    let scalar = [5, 7];
    for values in [narrow, wide, odd, constant, scalar, on_stack(216)] {
        assert_eq!(replaced(7, &values), None, "{values:?}");
    }
    assert_eq!(replaced(1, &constant), Some([216, 232, 240]));
    assert_eq!(replaced(1, &scalar), None);
    let mut few = variables();
    few[0] = 3;
    assert_eq!(read(1, &scopes(BCI, &few, 0).0), None);
}

#[test]
fn places_outside_of_the_code_and_ends_of_the_table_are_left_out() {
    let (bytes, _) = scopes(BCI, &variables(), 0);
    let places = [
        (u32::MAX, 1),
        (0, 1),
        (SIZE + 1, 1),
        (0x100, 0),
        (i32::MAX as u32, 0),
    ];
    let table: Vec<u8> = places
        .into_iter()
        .flat_map(|(at, scope)| description(at, scope))
        .collect();
    assert_eq!(calls(&table, &bytes, SIZE, FRAME, BCI), []);
    assert_eq!(calls(&table[..15], &bytes, SIZE, FRAME, BCI), []);
}

#[test]
fn scopes_in_a_circle_come_to_an_end() {
    // Each is said to be inlined into itself, or into one that follows.
    for into in [1, 2, 100, u32::MAX] {
        let mut bytes = vec![0];
        bytes.extend(write(&[into, 4, BCI + 1, 1, 0, 0], 0));
        assert_eq!(read(1, &bytes), None);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read(
        table in proptest::collection::vec(0_u8.., 0..256),
        scopes in proptest::collection::vec(0_u8.., 0..256),
        bci in 0_u32..8,
    ) {
        for call in calls(&table, &scopes, SIZE, FRAME, bci) {
            proptest::prop_assert!(call.at != 0 && call.at <= SIZE);
            for slot in call.variables.into_iter().flatten() {
                proptest::prop_assert!(slot == frame::SAVED || slot < FRAME);
            }
        }
    }
}
