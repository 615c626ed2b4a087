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
/// `node::worker::MessagePortData::AddToIncomingQueue(std::shared_ptr<Message>)`.
const GIVEN: &str =
    "_ZN4node6worker15MessagePortData18AddToIncomingQueueESt10shared_ptrINS0_7MessageEE";
/// `node::worker::Message::Deserialize(Environment*, v8::Local<v8::Context>, v8::Local<v8::Value>*)`.
const TAKEN: &str = "_ZN4node6worker7Message11DeserializeEPNS_11EnvironmentEN2v85LocalINS4_7ContextEEEPNS5_INS4_5ValueEEE";

/// How the turns of `process` are seen.
pub fn plan(process: &Process) -> Result<Plan, Unavailable> {
    let path = process.image();
    let image = Image::open(&path).map_err(Unavailable)?;
    let found = find(&image)?;
    let probe = |program, offset| UserProbe {
        program,
        file: path.clone(),
        offset,
    };
    let scopes = found.offsets.iter();
    let scopes = scopes.map(|offset| probe("node_scope_end", *offset));
    let messages = messages(&image).map(|(taken, given)| {
        let probes = [probe("node_taken", taken), probe("node_given", given)];
        probes.into_iter()
    });
    let missing = messages.is_none().then(|| {
        "what worker threads are given to do: this build of Node does not export where messages go in and out of queues"
            .to_owned()
    });
    let ends = &found.node.ends[..found.offsets.len()];
    let stepped = ends.iter().any(|end| !end.counted);
    Ok(Plan {
        stepped,
        kind: ExecutionKind::NodeAsync,
        layout: found.node.layout(),
        missing: missing.into_iter().collect(),
        probes: scopes.chain(messages.into_iter().flatten()).collect(),
    })
}

/// Where messages are taken out of queues, and put into them, as offsets in the file.
fn messages(image: &Image) -> Option<(u64, u64)> {
    let beginning = |name| image.offset(code::beginning(&image.function(name)?));
    beginning(TAKEN).zip(beginning(GIVEN))
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
