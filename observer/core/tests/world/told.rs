//! What the pipeline tells of a world.

use observer_core::engine::{Config, Engine};
use observer_core::ids::KernelNanos;
use observer_core::judged::{ClockAnchor, Exchange, Judged, Log, Role, SubjectId};

use super::Fed;

/// What the pipeline tells about these inputs, when `lost` records were lost.
pub fn tell(inputs: &[Fed], lost: u64) -> Told {
    tell_explaining(inputs, lost, None)
}

/// The same, with the explanation of one attribution.
pub fn tell_explaining(inputs: &[Fed], lost: u64, explain: Option<SubjectId>) -> Told {
    told_by(engine(explain, false), inputs, lost)
}

/// The same, with what is likely where nothing is certain.
pub fn tell_inferring(inputs: &[Fed], lost: u64, explain: Option<SubjectId>) -> Told {
    told_by(engine(explain, true), inputs, lost)
}

fn engine(explain: Option<SubjectId>, infer: bool) -> Engine {
    let anchor = ClockAnchor {
        monotonic: KernelNanos(1_000_000_000),
        wall: 1_700_000_000_000_000_000,
    };
    Engine::new(Config {
        anchor,
        explain,
        show_query: true,
        infer,
    })
}

fn told_by(mut engine: Engine, inputs: &[Fed], lost: u64) -> Told {
    let mut out = Vec::new();
    for input in inputs {
        engine.input(input.input(lost), &mut out);
    }
    engine.finish(&mut out);
    Told(out)
}

/// What was told.
pub struct Told(pub Vec<Judged>);

impl Told {
    pub fn json(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|j| serde_json::to_string(j).unwrap())
            .collect()
    }

    pub fn exchanges<'a>(&'a self, role: Role) -> Vec<&'a Exchange> {
        let exchange = |j: &'a Judged| match j {
            Judged::Exchange(x) if x.role == role => Some(x.as_ref()),
            _ => None,
        };
        self.0.iter().filter_map(exchange).collect()
    }

    pub fn call(&self, target: &str) -> &Exchange {
        let found = self
            .exchanges(Role::Client)
            .into_iter()
            .find(|x| x.target == target);
        found.unwrap_or_else(|| panic!("no call of {target} in {:#?}", self.json()))
    }

    pub fn served(&self, target: &str) -> &Exchange {
        let found = self
            .exchanges(Role::Server)
            .into_iter()
            .find(|x| x.target == target);
        found.unwrap_or_else(|| panic!("no request {target} in {:#?}", self.json()))
    }

    pub fn lines<'a>(&'a self) -> Vec<&'a Log> {
        let log = |j: &'a Judged| match j {
            Judged::Log(l) => Some(l.as_ref()),
            _ => None,
        };
        self.0.iter().filter_map(log).collect()
    }

    pub fn line(&self, text: &str) -> &Log {
        let found = self.lines().into_iter().find(|l| l.line.contains(text));
        found.unwrap_or_else(|| panic!("no line {text} in {:#?}", self.json()))
    }
}
