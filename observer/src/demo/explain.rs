//! What the watch found, in plain words.

use observer_core::judged::{LogVerdict, ServiceSummary, Summary};

use crate::sink::Canvas;
use crate::sink::rows::{Row, Tone};

pub(super) fn text(summary: &Summary, canvas: Canvas) -> String {
    let mut out = String::new();
    let mut say = |text: &str, tone: Tone| {
        Row::new("", tone)
            .and(text, tone)
            .wrapped(0)
            .print(canvas, &mut out);
    };
    say("", Tone::Plain);
    say("What this means", Tone::Strong);
    let mut found = false;
    for service in &summary.services {
        for sentence in sentences(service) {
            found = true;
            say("", Tone::Plain);
            say(&sentence, Tone::Plain);
        }
    }
    if !found {
        say(
            "Nothing was found to be lost, which for this shop means that nothing was seen. `observer doctor` may tell why.",
            Tone::Odd,
        );
    }
    say("", Tone::Plain);
    say(
        "Nothing in the shop was changed to find this out. Now watch a service of yours: observer watch --pid PID",
        Tone::Plain,
    );
    out
}

fn sentences(service: &ServiceSummary) -> Vec<String> {
    let name = &service.service;
    let mut sentences = Vec::new();
    for edge in service.edges.iter().filter(|edge| edge.loss.hits > 0) {
        let mut text = format!(
            "{name} loses the trace on {} of its {} calls to {}: requests come to {name} with a context, \
             and these calls go out without. A tracing tool shows them as traces of their own, cut off \
             from the customer's request.",
            edge.loss.hits, edge.loss.n, edge.peer
        );
        if let Some(why) = edge.why.first() {
            text.push_str(&format!(" To mend it: {}.", why.fix));
        }
        sentences.push(text);
    }
    let missing = service.logs.verdicts.of(LogVerdict::is_loss);
    if missing > 0 {
        sentences.push(format!(
            "{name} writes {missing} of its {} log lines without the id of the trace that they belong to: \
             whoever searches the logs for a trace will not find them. To mend it: let the logger add the \
             current context to every line.",
            service.logs.lines
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::samples;

    #[test]
    fn losses_are_told_with_their_remedy() {
        let text = text(&samples::summary(), Canvas::default());
        assert!(
            text.contains("cart loses the trace on 30 of its 240 calls to payments"),
            "{text}"
        );
        assert!(text.contains("80 of its 480 log lines without"), "{text}");
        assert!(text.contains("To mend it: copy the contextvars"), "{text}");
    }

    #[test]
    fn nothing_found_is_said() {
        let mut summary = samples::summary();
        summary.services.clear();
        assert!(text(&summary, Canvas::default()).contains("observer doctor"));
    }
}
