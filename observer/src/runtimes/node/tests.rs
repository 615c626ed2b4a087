use std::path::PathBuf;

use super::*;

/// Programs to look at: the one in the path, and those that `OBSERVER_NODES` names, separated by colons.
fn programs() -> Vec<PathBuf> {
    let more = std::env::var_os("OBSERVER_NODES").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join("node"));
    let mut programs: Vec<PathBuf> = std::env::split_paths(&more).chain(installed).collect();
    programs.retain(|program| program.is_file());
    programs
}

#[test]
fn the_installed_programs_show_their_structures() {
    for program in programs() {
        let image = Image::open(&program).expect("readable");
        let found = find(&image).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        eprintln!(
            "{}: {:x?} at {:x?}",
            program.display(),
            found.node,
            found.offsets
        );
        assert!(found.node.depth > found.node.ids, "{:x?}", found.node);
        assert!(found.offsets.len() >= 2);
        for place in messages(&image).map(<[u64; 2]>::from).expect("exported") {
            assert!(!found.offsets.contains(&place), "{place:x}");
        }
    }
}
