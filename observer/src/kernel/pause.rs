//! Taking the probes at system calls away for a while, and putting them back.
//!
//! While they are attached every system call of the machine takes a detour through them, whoever makes it: 0.18–0.28 µs for
//! two programs that find nothing (a loop of `getppid`, Linux 6.18 in a virtual machine). Where that alone is more than the budget allows, no share of connections helps.
//! To detach both took 0.4 ms, to attach them 0.5 ms. The other probes stay, so that it is known which processes are watched.

use aya::{
    Ebpf,
    programs::{
        ProgramError, RawTracePoint, TracePoint, raw_trace_point::RawTracePointLinkId,
        trace_point::TracePointLinkId,
    },
};
use rustix::thread::{MembarrierCommand, membarrier};

use super::attach::{Place, put_again};

/// Keeps a program attached.
#[derive(Debug)]
pub enum Link {
    /// Directly.
    Raw(RawTracePointLinkId),
    /// Through perf.
    Perf(TracePointLinkId),
}

/// The probes at system calls, in the order in which they are attached.
#[derive(Debug, Default)]
pub struct Calls(Vec<Hook>);

#[derive(Debug)]
struct Hook {
    place: Place,
    /// Nothing while it is detached.
    link: Option<Link>,
}

impl Calls {
    /// One more, which is attached.
    pub fn add(&mut self, place: Place, link: Link) {
        let link = Some(link);
        self.0.push(Hook { place, link });
    }

    /// Detaches them, the last one first: of calls that began, most are still seen to end. After that none of them
    /// runs any more.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn detach(&mut self, object: &mut Ebpf) -> Result<(), ProgramError> {
        for hook in self.0.iter_mut().rev() {
            let program = object.program_mut(hook.place.program);
            let program = program.ok_or(ProgramError::NotLoaded)?;
            match hook.link.take() {
                Some(Link::Raw(link)) => {
                    let program: &mut RawTracePoint = program.try_into()?;
                    program.detach(link)?;
                }
                Some(Link::Perf(link)) => {
                    let program: &mut TracePoint = program.try_into()?;
                    program.detach(link)?;
                }
                None => {}
            }
        }
        // A program may still run on another CPU. It does so inside a read-side critical section of RCU, whose end the kernel waits for
        // here (`kernel/sched/membarrier.c`: `synchronize_rcu`). Where it refuses, with CPUs that are left alone (`nohz_full`),
        // a record that comes late is not believed (`observer_core::engine`).
        let _refused = membarrier(MembarrierCommand::Global);
        Ok(())
    }

    /// Attaches them again.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn attach(&mut self, object: &mut Ebpf) -> Result<(), ProgramError> {
        for hook in self.0.iter_mut().filter(|hook| hook.link.is_none()) {
            let program = object.program_mut(hook.place.program);
            let program = program.ok_or(ProgramError::NotLoaded)?;
            hook.link = Some(put_again(program, hook.place)?);
        }
        Ok(())
    }
}
