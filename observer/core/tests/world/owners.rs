//! Whose work calls and lines are told to be.

use observer_core::judged::{ExchangeId, Reason, Tier};

use super::{Role, Told};

/// The request, if any, and the tier; or why it is of none.
pub type Owner = (Option<String>, Option<Tier>, Option<Reason>);

impl Told {
    /// What was asked for by the request with this id.
    pub fn target_of(&self, request: ExchangeId) -> Option<String> {
        let served = self.exchanges(Role::Server);
        let found = served.iter().find(|served| served.id == request);
        found.map(|served| served.target.to_string())
    }

    pub fn owner(&self, call: &str) -> Owner {
        let call = self.call(call);
        let attribution = call.attribution.as_ref().unwrap();
        (
            call.request.and_then(|request| self.target_of(request)),
            attribution.tier,
            attribution.reason.clone(),
        )
    }

    pub fn owner_of_line(&self, line: &str) -> Owner {
        let line = self.line(line);
        let attribution = &line.attribution;
        (
            line.request.and_then(|request| self.target_of(request)),
            attribution.tier,
            attribution.reason.clone(),
        )
    }

    /// Fails unless `owner` is that request, by that tier.
    pub fn assert_given(&self, owner: &Owner, to: &str, tier: Tier) {
        let expected = (Some(to.to_owned()), Some(tier), None);
        assert_eq!(*owner, expected, "{:#?}", self.json());
    }

    /// Why something is of no request; fails if it is of one.
    pub fn assert_none(&self, owner: Owner) -> Option<Reason> {
        let (request, tier, reason) = owner;
        assert_eq!((request, tier), (None, None), "{:#?}", self.json());
        reason
    }
}
