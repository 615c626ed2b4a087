//! The same world, of which some records are lost.

use std::collections::BTreeSet;

use proptest::sample::Index;

use super::{Fed, Told, World, tell};

impl World {
    /// Everything that the pipeline tells if these of its records are lost.
    pub fn told_without(&self, lost: &[Index]) -> Told {
        let records: Vec<usize> = (0..self.inputs.len())
            .filter(|i| matches!(self.inputs[*i], Fed::Record(_)))
            .collect();
        let lost: BTreeSet<usize> = (lost.iter().map(|i| *i.get(&records))).collect();
        let thinned: Vec<Fed> = (self.inputs.iter().enumerate())
            .filter(|(i, _)| !lost.contains(i))
            .map(|(_, input)| input.clone())
            .collect();
        tell(&thinned, lost.len() as u64)
    }
}

impl Told {
    /// Calls for `/for/N` that are given to another request than `/in/N`.
    pub fn misgiven(&self) -> Vec<(String, String)> {
        let served = self.exchanges(super::Role::Server);
        let owner = |call: &super::Exchange| {
            let owner = served.iter().find(|s| Some(s.id) == call.request)?;
            Some((call.target.to_string(), owner.target.to_string()))
        };
        let wrong =
            |(call, owner): &(String, String)| call.split('/').nth(2) != owner.split('/').nth(2);
        let calls = self.exchanges(super::Role::Client);
        calls.into_iter().filter_map(owner).filter(wrong).collect()
    }
}
