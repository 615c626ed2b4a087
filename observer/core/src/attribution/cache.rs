//! What the bounded caches of attribution have in common.

use std::hash::Hash;

use lru::LruCache;

/// Removes the entries of which `gone` says so.
pub(super) fn remove<K: Copy + Eq + Hash, V>(
    cache: &mut LruCache<K, V>,
    gone: impl Fn(&K, &V) -> bool,
) {
    let entries = cache.iter().filter(|(key, value)| gone(key, value));
    let keys: Vec<K> = entries.map(|(key, _)| *key).collect();
    for key in keys {
        cache.pop(&key);
    }
}
