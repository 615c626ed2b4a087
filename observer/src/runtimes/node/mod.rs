//! Node: turns of the event loop, seen at the end of each callback scope.
//!
//! Whatever JavaScript the loop runs, it runs inside a `node::InternalCallbackScope` (`src/api/callback.cc`), whose destructor
//! counts `Environment::async_callback_scope_depth_` down. That instruction and where `Environment` keeps its async
//! ids are read from the program's code: the functions that are looked at are exported, so that their names
//! survive stripping, and the offsets differ between versions.

mod code;
mod image;

use observer_abi::node::{ENDS, End, Node, page_offset};
use observer_core::record::ExecutionKind;

use super::{Plan, Unavailable};
use crate::facts::Process;
use crate::kernel::UserProbe;
use image::Image;

/// `node::AsyncHooksGetExecutionAsyncId(v8::Isolate*)`: returns the double at the start of the ids.
const GET_ID: &str = "_ZN4node29AsyncHooksGetExecutionAsyncIdEPN2v87IsolateE";
/// `node::InternalCallbackScope::~InternalCallbackScope()`.
const SCOPE_END: &str = "_ZN4node21InternalCallbackScopeD2Ev";

/// How the turns of `process` are seen.
pub fn plan(process: &Process) -> Result<Plan, Unavailable> {
    let path = process.image();
    let image = Image::open(&path).map_err(Unavailable)?;
    let found = find(&image)?;
    let probes = found.offsets.iter().map(|offset| UserProbe {
        program: "node_scope_end",
        file: path.clone(),
        offset: *offset,
    });
    let ends = &found.node.ends[..found.offsets.len()];
    let stepped = ends.iter().any(|end| !end.counted);
    Ok(Plan {
        stepped,
        kind: ExecutionKind::NodeAsync,
        layout: found.node.layout(),
        missing: Vec::new(),
        probes: probes.collect(),
    })
}

/// What the code of a program says.
struct Found {
    node: Node,
    /// Where scopes end, as offsets in the file.
    offsets: Vec<u64>,
}

fn find(image: &Image) -> Result<Found, Unavailable> {
    let ids = image
        .function(GET_ID)
        .and_then(|function| code::pointer_to_double(&function))
        .ok_or_else(|| unknown("where it keeps async ids"))?;
    let depth = image
        .function(SCOPE_END)
        .and_then(|function| code::counted_down(&function))
        .ok_or_else(|| unknown("where it counts callback scopes"))?;
    // The compiler has copied the destructor into functions that end a scope of their own.
    let tails = image.executed(&code::tail_of_count_down(depth));
    let copies = tails.into_iter().filter(|tail| {
        let before = image.bytes(tail.saturating_sub(4));
        before.is_some_and(code::is_count_down)
    });
    let mut node = Node {
        depth,
        ids,
        ends: [End::default(); ENDS],
    };
    let mut offsets = Vec::new();
    for copy in copies {
        let Some(function) = image.function_at(copy) else {
            return Err(unknown("all places where callback scopes end"));
        };
        for (address, end) in code::scope_ends(&function, depth) {
            let offset = image.offset(address);
            let Some(offset) = offset.filter(|o| !offsets.contains(o)) else {
                continue;
            };
            let Some(free) = node.ends.get_mut(offsets.len()) else {
                return Err(unknown("which of many places are ends of callback scopes"));
            };
            *free = End {
                page_offset: page_offset(address),
                ..end
            };
            offsets.push(offset);
        }
    }
    let distinct = |a: &End, b: &End| a.page_offset != b.page_offset;
    let ends = &node.ends[..offsets.len()];
    let told_apart =
        (1..ends.len()).all(|i| ends[..i].iter().all(|other| distinct(other, &ends[i])));
    if ends.is_empty() || !told_apart {
        return Err(unknown("the ends of callback scopes"));
    }
    Ok(Found { node, offsets })
}

fn unknown(what: &str) -> Unavailable {
    Unavailable(format!(
        "this build of Node does not show {what}; builds of nodejs.org and of Debian do"
    ))
}

#[cfg(test)]
mod tests;
