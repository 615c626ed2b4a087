//! What watching costs.
#![allow(dead_code)]
mod replay;
mod report;

fn main() -> anyhow::Result<()> {
    let mut report = report::Report::default();
    replay::run(&mut report)?;
    println!("{report}");
    Ok(())
}
