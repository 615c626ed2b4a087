//! Why logged events lack their request's id, and what mends it.

use super::LogVerdict;
use crate::facts::Runtime;

impl LogVerdict {
    /// What is wrong with events of this verdict, in a sentence; `None` unless it is a loss.
    #[must_use]
    pub fn explanation(self) -> Option<&'static str> {
        Some(match self {
            Self::Missing => {
                "no id: what is logged for a request with a context does not carry its trace-id"
            }
            Self::Zero => "all zeros: the logger writes an id, but no span is active where it logs",
            Self::Crossed => {
                "another request's id: a thread, task or logger kept the context of earlier work"
            }
            Self::Foreign => {
                "an id that no request brought: the service logs the id of a trace of its own"
            }
            _ => return None,
        })
    }

    /// What to change, in words of the service's runtime; `None` unless it is a loss.
    #[must_use]
    pub fn fix(self, runtime: Option<Runtime>) -> Option<&'static str> {
        Some(match self {
            Self::Missing => log_ids(runtime),
            Self::Zero => {
                "log while the request's span is active, and hand its context to threads and tasks that log for it"
            }
            Self::Crossed => {
                "reset the logger's context (MDC, contextvars, child logger) when a request ends, and hand it over with the work"
            }
            Self::Foreign => {
                "extract the inbound context before starting the request's span, so that its trace-id is the one that is logged"
            }
            _ => return None,
        })
    }
}

fn log_ids(runtime: Option<Runtime>) -> &'static str {
    match runtime {
        Some(Runtime::Python) => {
            "set OTEL_PYTHON_LOG_CORRELATION=true, or add the current span's trace_id to the logger's format"
        }
        Some(Runtime::Node) => {
            "enable OpenTelemetry's instrumentation of the logger (pino, winston, bunyan), which adds trace_id"
        }
        Some(Runtime::Java) => {
            "add %X{trace_id} to the pattern: the OpenTelemetry agent puts it into the logger's context (MDC)"
        }
        Some(Runtime::Go) => {
            "log with the request's ctx, through a handler that adds the span's trace_id (slog: otelslog)"
        }
        Some(Runtime::Rust) => {
            "log inside the request's span, with a layer that writes its trace_id"
        }
        Some(Runtime::Proxy) => {
            "add the trace-id to the log's format (nginx: $http_traceparent, or $otel_trace_id with its OpenTelemetry module)"
        }
        _ => "add the current span's trace_id to what the logger writes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_and_nothing_else_has_a_cause_and_a_fix() {
        for verdict in LogVerdict::ALL {
            assert_eq!(verdict.explanation().is_some(), verdict.is_loss());
            for runtime in [None, Some(Runtime::Python), Some(Runtime::Proxy)] {
                assert_eq!(verdict.fix(runtime).is_some(), verdict.is_loss());
            }
        }
    }
}
