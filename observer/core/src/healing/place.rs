//! Where in a trace a request and its calls are.

use super::ids::{SpanId, SpanKind, TraceId};
use super::make::Making as Made;
use super::rules::{
    Inbound, Making, Outgoing, Source, Upstream, breaks, is_attributed, is_telemetry, outgoing,
};
use super::span::{Link, Provenance};
use super::{Healer, Hop, Spans};
use crate::judged::{Exchange, ExchangeId, Reason, Tier, Verdict};

/// Links of one span, at most.
const MAX_LINKS: usize = 32;

/// Where a request that was decided on is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Its trace, if it has one.
    pub trace: Option<TraceId>,
    /// What it came in with.
    pub inbound: Option<Inbound>,
    /// Its own span, if one was made and told.
    pub span: Option<SpanId>,
    /// The span that calls made for it are below.
    pub above_calls: Option<SpanId>,
    /// Whether the trace is sampled.
    pub sampled: bool,
    /// Spans are made although it is not.
    pub forced: bool,
    /// How certain it is that it belongs there.
    pub confidence: f32,
}

impl Place {
    fn told(&self) -> bool {
        self.sampled || self.forced
    }
}

/// What became of a call.
type Became = (ExchangeId, Option<Upstream>);

impl Healer {
    /// Decides on a request; returns what became of its calls.
    pub(super) fn place(
        &mut self,
        id: ExchangeId,
        hop: &Hop,
        above: Option<Upstream>,
    ) -> Vec<Became> {
        let nothing = || hop.calls.iter().map(|call| (call.id, None)).collect();
        let Some((server, source)) = whence(hop, above) else {
            self.places.push(id, Place::default());
            self.records(hop, None);
            return nothing();
        };
        let inbound = match source {
            Source::Inbound(inbound) => Some(inbound),
            _ => None,
        };
        let says: Vec<Outgoing> = hop.calls.iter().map(|c| outgoing(inbound, c)).collect();
        let habits = self.habits.get_or_insert_mut(server.pid, Default::default);
        for (call, says) in hop.calls.iter().zip(&says) {
            habits.saw(*says, call.verdict);
        }
        let making = Making::decide(self.settings.spans, source, &says, *habits);
        let broken = hop.calls.iter().any(|c| is_attributed(c) && breaks(c));
        let mut place = begin(server, source, making);
        place.forced |= self.settings.unsampled && broken;
        if making.server && place.told() {
            self.server_span(server, source, &mut place, hop, &says);
        }
        let calls = hop.calls.iter().zip(says);
        let became = calls
            .map(|(call, says)| {
                let made = making
                    .of(says)
                    .then(|| self.client_span(call, says, &place));
                (call.id, made.flatten())
            })
            .collect();
        self.places.push(id, place);
        self.records(hop, Some(&place));
        became
    }

    fn server_span(
        &mut self,
        server: &Exchange,
        source: Source,
        place: &mut Place,
        hop: &Hop,
        says: &[Outgoing],
    ) {
        let Some(trace) = place.trace else {
            return;
        };
        let (parent, tier, verdict) = match source {
            Source::Inbound(inbound) => (inbound.parent, Some(Tier::Context), None),
            Source::Upstream(call) => (Some(call.span), Some(Tier::Connection), call.verdict),
            Source::Beginning => (None, None, None),
        };
        let span = SpanId::of(server.identity, SpanKind::Server);
        place.span = Some(span);
        self.make(&Made {
            exchange: server,
            kind: SpanKind::Server,
            trace,
            span,
            parent,
            sampled: place.sampled,
            links: links(says),
            provenance: Provenance {
                tier,
                confidence: place.confidence,
                verdict: worst(hop, says).or(verdict),
            },
        });
    }

    /// Makes a call's span, if its trace is known; returns where that leaves the request below.
    fn client_span(&mut self, call: &Exchange, says: Outgoing, place: &Place) -> Option<Upstream> {
        let trace = place.trace?;
        let attribution = call.attribution.as_ref()?;
        let provenance = Provenance {
            tier: attribution.tier,
            confidence: place.confidence * attribution.confidence,
            verdict: call.verdict.map(Verdict::name),
        };
        let span = SpanId::of(call.identity, SpanKind::Client);
        if place.told() {
            self.make(&Made {
                exchange: call,
                kind: SpanKind::Client,
                trace,
                span,
                parent: place.above_calls,
                sampled: place.sampled,
                links: links(&[says]),
                provenance,
            });
        }
        Some(Upstream {
            trace,
            span,
            sampled: place.sampled,
            forced: place.forced,
            confidence: provenance.confidence,
            verdict: provenance.verdict,
        })
    }

    /// A call whose request was decided on before.
    pub(super) fn late(&mut self, request: ExchangeId, call: &Exchange) {
        let Some(mut place) = self.places.get(&request).copied() else {
            return;
        };
        let says = outgoing(place.inbound, call);
        let habits = self.habits.get_or_insert_mut(call.pid, Default::default);
        habits.saw(says, call.verdict);
        let wanted = match self.settings.spans {
            Spans::Off => false,
            Spans::Bridge => says == Outgoing::Bare,
            Spans::All => says != Outgoing::Unknown,
        };
        place.forced |= self.settings.unsampled && breaks(call);
        let made = wanted.then(|| self.client_span(call, says, &place));
        self.became(call.id, made.flatten());
    }

    /// A call made for no request that is known.
    pub(super) fn background(&mut self, call: &Exchange) {
        let reason = call.attribution.as_ref().and_then(|a| a.reason.as_ref());
        let for_nothing = reason == Some(&Reason::NoRequest) && !is_telemetry(call);
        if self.settings.spans != Spans::All || !for_nothing {
            return self.became(call.id, None);
        }
        // The application's own span, where the call carries one, is the same call seen from inside.
        let own = call.context.as_ref().and_then(Inbound::of);
        if call.context.is_some() && own.is_none() {
            return self.became(call.id, None);
        }
        let place = Place {
            trace: own.map_or_else(
                || Some(TraceId::beginning_with(call.identity)),
                |own| Some(own.trace),
            ),
            above_calls: own.and_then(|own| own.parent),
            sampled: own.is_none_or(|own| own.sampled),
            confidence: 1.0,
            ..Place::default()
        };
        // For no request is as certain as it gets: there was none.
        let mut call = call.clone();
        if let Some(attribution) = &mut call.attribution {
            attribution.confidence = 1.0;
        }
        let made = self.client_span(&call, Outgoing::Bare, &place);
        self.became(call.id, made);
    }
}

/// The request and where its place comes from; nothing if no span may be made of it.
fn whence(hop: &Hop, above: Option<Upstream>) -> Option<(&Exchange, Source)> {
    let server = hop.server.as_deref().filter(|x| !is_telemetry(x))?;
    let source = match (&server.context, above) {
        (Some(context), _) => Source::Inbound(Inbound::of(context)?),
        (None, Some(above)) => Source::Upstream(above),
        (None, None) => Source::Beginning,
    };
    Some((server, source))
}

fn begin(server: &Exchange, source: Source, making: Making) -> Place {
    let own = making
        .server
        .then(|| SpanId::of(server.identity, SpanKind::Server));
    let place = match source {
        Source::Inbound(inbound) => Place {
            trace: Some(inbound.trace),
            inbound: Some(inbound),
            above_calls: inbound.parent,
            sampled: inbound.sampled,
            confidence: 1.0,
            ..Place::default()
        },
        Source::Upstream(above) => Place {
            trace: Some(above.trace),
            above_calls: Some(above.span),
            sampled: above.sampled,
            forced: above.forced,
            confidence: above.confidence,
            ..Place::default()
        },
        Source::Beginning => Place {
            trace: making
                .server
                .then(|| TraceId::beginning_with(server.identity)),
            sampled: true,
            confidence: 1.0,
            ..Place::default()
        },
    };
    Place {
        above_calls: own.or(place.above_calls),
        ..place
    }
}

/// One link per trace in which the work goes on.
fn links(says: &[Outgoing]) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for says in says {
        if let Outgoing::Elsewhere(link) = says
            && links.len() < MAX_LINKS
            && !links.iter().any(|l| l.trace_id == link.trace_id)
        {
            links.push(*link);
        }
    }
    links
}

/// The judgement that made a request's span necessary: a loss before anything else.
fn worst(hop: &Hop, says: &[Outgoing]) -> Option<&'static str> {
    let judged = || {
        let calls = hop.calls.iter().zip(says);
        calls
            .filter(|(_, says)| matches!(says, Outgoing::Bare | Outgoing::Elsewhere(_)))
            .filter_map(|(call, _)| call.verdict)
    };
    let loss = judged().find(|v| v.is_loss());
    loss.or_else(|| judged().next()).map(Verdict::name)
}
