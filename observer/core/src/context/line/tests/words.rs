//! Ids that stand in a line as bare words.

use proptest::prelude::*;

use super::super::words::{find_hex_words, hex_id};
use super::{ID, WIDE};

#[test]
fn bare_ids_are_words() {
    let find = |text: &str| find_hex_words(text).filter_map(hex_id).collect::<Vec<_>>();
    assert_eq!(find(&format!("request {ID} done")), [WIDE]);
    assert_eq!(
        find(&format!("{ID},{}-{ID}", ID.to_uppercase())),
        [WIDE, WIDE, WIDE]
    );
    for no_word in [
        format!("x{ID}"),
        format!("{ID}0"),
        format!("{ID}_"),
        ID[1..].to_owned(),
        "0".repeat(32),
    ] {
        assert_eq!(find(&no_word), [0; 0], "{no_word}");
    }
}

/// The hex words of a text, found the plain way.
fn plain_hex_ids(text: &str) -> Vec<u128> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ids = words.filter(|word| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit()));
    ids.filter_map(|word| u128::from_str_radix(word, 16).ok())
        .filter(|id| *id != 0)
        .collect()
}

proptest! {
    #[test]
    fn hex_words_are_those_found_the_plain_way(line in "([0-9a-f]{31,33}|[0-9a-g_ é-]{0,5}){0,9}") {
        let found: Vec<_> = find_hex_words(&line).filter_map(hex_id).collect();
        prop_assert_eq!(found, plain_hex_ids(&line));
    }
}
