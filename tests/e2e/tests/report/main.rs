//! Reports: the same numbers from a recording, an agent and a real Prometheus; what goes wrong on the way; the page in a
//! real browser.

mod counted;
mod page;
mod sources;
mod worlds;
