//! What a check found, as JUnit has it: a test case per edge, and per service's log.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::gate::{Outcome, State, Verdict, What};
use super::show::subject;

/// The results as XML. What can't be told is skipped: JUnit has no word for it.
pub(super) fn xml(outcome: &Outcome) -> Result<String, SerializeError> {
    let mut suite = TestSuite::new("trace propagation");
    suite.add_test_cases(outcome.verdicts.iter().map(case));
    let mut report = Report::new("observer check");
    report.add_test_suite(suite);
    report.to_string()
}

fn case(verdict: &Verdict) -> TestCase {
    let mut status = match verdict.state {
        State::Clean => TestCaseStatus::success(),
        State::Broken => TestCaseStatus::non_success(NonSuccessKind::Failure),
        State::Inconclusive => TestCaseStatus::skipped(),
    };
    if verdict.state != State::Clean {
        status.set_message(format!("{}: {}", subject(verdict), verdict.says));
    }
    if verdict.state == State::Broken {
        let why = verdict.why.iter();
        let lines = why.map(|w| format!("why: {}\nfix: {}", w.why, w.fix));
        status.set_description(lines.collect::<Vec<_>>().join("\n"));
    }
    let name = match &verdict.what {
        What::Calls(peer) => format!("calls to {peer} carry the context on"),
        What::Lines => "log events carry their request's id".to_owned(),
        What::Enough => "enough was seen".to_owned(),
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(verdict.service.clone());
    case
}

#[cfg(test)]
mod tests {
    use observer_core::judged::counts::Name;

    use super::*;

    #[test]
    fn hostile_names_stay_text() {
        let verdict = |state| Verdict {
            service: "\"><evil/>]]>&".to_owned(),
            what: What::Calls(Name::plain("]]><evil a=\"1\">")),
            state,
            says: "context lost on <all>".to_owned(),
            why: Vec::new(),
        };
        let states = [State::Clean, State::Broken, State::Inconclusive];
        let outcome = Outcome {
            verdicts: states.map(verdict).into(),
        };
        let text = xml(&outcome).unwrap();
        let read = Report::deserialize_from_str(&text).unwrap();
        let suite = &read.test_suites[0];
        assert_eq!((suite.tests, suite.failures), (3, 1));
        assert!(!text.contains("<evil"), "{text}");
    }
}
