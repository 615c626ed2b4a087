//! Causes: why context is lost on an edge, and what mends it.

use serde::{Deserialize, Serialize};

use crate::facts::Runtime;

/// Why verdicts on an edge are what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The service never sends context on any call.
    NotInstrumented,
    /// The service sends context on other edges, not on this one.
    CallNotInstrumented,
    /// Context is lost on calls made by another execution than the one that read the request.
    LostAtHandOff,
    /// The service reads or writes another format than its neighbours.
    FormatMismatch,
    /// What writes the header breaks a rule of its format.
    MalformedWriter,
    /// The context is passed through without a span of the service's own.
    PassedThrough,
    /// A proxy removes the header.
    StrippedByProxy,
    /// Context of one request leaks into another.
    LeakedContext,
    /// A new trace is started although a context came in.
    NewTrace,
    /// Requests come in without context: the trace starts here.
    TrustBoundary,
    /// Some calls on this edge carry context and others do not.
    Sometimes,
}

impl Cause {
    /// The cause in a sentence.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::NotInstrumented => {
                "not instrumented: no call of this service carries any context"
            }
            Self::CallNotInstrumented => {
                "call not instrumented: other calls of this service carry context, these never do"
            }
            Self::LostAtHandOff => {
                "lost at a hand-off: the calls without context are made by another thread than the one that read the request"
            }
            Self::FormatMismatch => {
                "format mismatch: the context comes in in one format and goes out in another"
            }
            Self::MalformedWriter => {
                "malformed writer: what writes the header breaks its format's rules"
            }
            Self::PassedThrough => {
                "passed through unchanged: the header is copied, but the service makes no span of its own"
            }
            Self::StrippedByProxy => "stripped by a proxy: the header comes in and does not go out",
            Self::LeakedContext => {
                "leaked from another request: a thread or connection kept the context of earlier work"
            }
            Self::NewTrace => {
                "new trace: a context comes in, but the service starts a trace of its own"
            }
            Self::TrustBoundary => "trust boundary: requests come in without context",
            Self::Sometimes => "sometimes: some calls on this edge carry context and others do not",
        }
    }

    /// What to change, in words of the service's runtime.
    #[must_use]
    pub fn fix(self, runtime: Option<Runtime>) -> &'static str {
        match self {
            Self::NotInstrumented => instrument(runtime),
            Self::CallNotInstrumented | Self::Sometimes => {
                "instrument the client that makes these calls, or inject the context by hand there"
            }
            Self::LostAtHandOff => carry_over(runtime),
            Self::FormatMismatch => {
                "configure the same propagators on both sides, for example OTEL_PROPAGATORS=tracecontext,baggage,b3"
            }
            Self::MalformedWriter => {
                "replace the hand-written header by the propagator of an OpenTelemetry SDK"
            }
            Self::PassedThrough => {
                "right for a proxy; in an application, start a span per request and inject its context"
            }
            Self::StrippedByProxy => {
                "let the proxy pass traceparent, tracestate and baggage (nginx: do not clear them with proxy_set_header)"
            }
            Self::LeakedContext => leaked(runtime),
            Self::NewTrace => {
                "extract the inbound context before starting the request's span, and check that the service reads the format it is sent"
            }
            Self::TrustBoundary => {
                "if callers do send context, check gateways and load balancers in front of this service"
            }
        }
    }
}

fn instrument(runtime: Option<Runtime>) -> &'static str {
    match runtime {
        Some(Runtime::Python) => {
            "install opentelemetry-distro and start with opentelemetry-instrument"
        }
        Some(Runtime::Node) => {
            "load @opentelemetry/auto-instrumentations-node/register with --require or --import"
        }
        Some(Runtime::Java) => "start the JVM with -javaagent:opentelemetry-javaagent.jar",
        Some(Runtime::Go) => "wrap handlers and http.RoundTripper with otelhttp",
        Some(Runtime::Rust) => "add tracing-opentelemetry and a propagating client middleware",
        Some(Runtime::Ruby) => "add opentelemetry-instrumentation-all and call use_all",
        Some(Runtime::Php) => {
            "install the opentelemetry extension and its auto-instrumentation packages"
        }
        Some(Runtime::Dotnet) => {
            "add OpenTelemetry.Instrumentation.AspNetCore and OpenTelemetry.Instrumentation.Http, or start with opentelemetry-dotnet-instrumentation"
        }
        Some(Runtime::Proxy) => {
            "let the proxy pass traceparent, tracestate and baggage, or enable its OpenTelemetry module"
        }
        Some(Runtime::Native) | None => {
            "add an OpenTelemetry SDK with server and client instrumentation"
        }
    }
}

fn carry_over(runtime: Option<Runtime>) -> &'static str {
    match runtime {
        Some(Runtime::Python) => {
            "copy the contextvars context into the pool: executor.submit(contextvars.copy_context().run, f)"
        }
        Some(Runtime::Node) => "bind the callback with AsyncLocalStorage.bind or context.bind",
        Some(Runtime::Java) => "wrap the executor: Context.taskWrapping(executor)",
        Some(Runtime::Go) => "pass ctx to the goroutine and use http.NewRequestWithContext",
        Some(Runtime::Rust) => "spawn the task with .instrument(span)",
        _ => "hand the current context to the worker together with the work",
    }
}

fn leaked(runtime: Option<Runtime>) -> &'static str {
    match runtime {
        Some(Runtime::Python) => {
            "detach the token that context.attach returned, in a finally block"
        }
        Some(Runtime::Java) => "close every Scope that makeCurrent returned (try-with-resources)",
        Some(Runtime::Go) => "do not keep a request's ctx beyond the request",
        _ => "reset the current context when the request ends",
    }
}
