//! What events prove, once the requests that they name are answered.

use super::super::evidence::{Link, names};
use super::super::process::Process;
use super::super::subject::Subject;
use super::super::{Attributor, PROOF_PATIENCE};
use super::{Sign, State};
use crate::ids::KernelNanos;
use crate::judged::{Evidence, Reason, Tier};

/// How far a call, of which both halves agree, is believed.
const RELAYED: f32 = 0.99;

/// How far a line is believed that comes after an answer as always.
const LOGGED: f32 = 0.99;

impl Attributor {
    /// Evidence of a proxy's events, or why there is none.
    pub(in super::super) fn relayed(
        &self,
        process: &Process,
        subject: &Subject,
    ) -> Result<Link, Option<Reason>> {
        let sign = subject.sign.as_ref().ok_or(None)?;
        if let Some(reason) = process.asked_unseen() {
            return Err(Some(reason));
        }
        let (request, confidence, evidence) = match sign {
            Sign::Asked(act) => match self.events.act(*act).ok_or(None)? {
                (request, State::Agreed) => (request, RELAYED, Evidence::Relayed),
                (request, State::Differs(other)) => {
                    let candidates = names(&[request, other]);
                    return Err(Some(Reason::Conflict { candidates }));
                }
                (_, State::Open) => return Err(None),
            },
            Sign::Logged(logged) => match self.events.is_habit(subject.tgid, logged) {
                Some(true) => (logged.request, LOGGED, Evidence::LoggedAnswer),
                _ => return Err(Some(Reason::AfterAnswer)),
            },
        };
        if let Some((disagreed, compared)) = process.trust.relays_lost() {
            return Err(Some(Reason::Distrusted {
                disagreed,
                compared,
            }));
        }
        self.check(process, subject, request, 0)?;
        Ok(Link {
            request,
            tier: Tier::HandOff,
            confidence,
            evidence,
        })
    }

    /// Whether nothing is to come that says more of what an event was about.
    pub(in super::super) fn sign_is_due(&self, subject: &Subject, now: KernelNanos) -> bool {
        match &subject.sign {
            None => true,
            Some(Sign::Asked(act)) => match self.events.act(*act) {
                Some((request, State::Open)) => self.is_over(subject.tgid, request),
                _ => true,
            },
            Some(Sign::Logged(logged)) => {
                now.since(subject.time) > PROOF_PATIENCE
                    || self.events.is_habit(subject.tgid, logged).is_some()
            }
        }
    }
}
