//! Which header fields hold secrets.

/// Last words of the names of fields whose values are secrets: `Cookie`, `Proxy-Authorization`,
/// `X-Api-Key`, `X-Amz-Security-Token` and the many that are made up like them. None of the fields
/// that carry context or shape a message ends so.
const LAST_WORDS: [&[u8]; 16] = [
    b"apikey",
    b"assertion",
    b"auth",
    b"authorization",
    b"cookie",
    b"cookie2",
    b"credential",
    b"credentials",
    b"dpop",
    b"jwt",
    b"key",
    b"password",
    b"secret",
    b"session",
    b"signature",
    b"token",
];

/// The longest name that is looked at; longer ones hold no secrets that are known of.
pub(super) const LONGEST: usize = 48;

/// Whether the field `name`, in lower case, holds a secret.
pub(super) fn is_secret(name: &[u8]) -> bool {
    let word = name.rsplit(|byte| matches!(byte, b'-' | b'_')).next();
    word.is_some_and(|word| LAST_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn credentials_are_secret_and_what_the_observer_reads_is_not() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
            "api_key",
            "x-auth-token",
            "x-amz-security-token",
            "x-goog-iam-authorization-token",
            "x-xsrf-token",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "traceparent",
            "tracestate",
            "baggage",
            "b3",
            "x-b3-traceid",
            "uber-trace-id",
            "x-datadog-trace-id",
            "x-amzn-trace-id",
            "x-cloud-trace-context",
            "sw8",
            "elastic-apm-traceparent",
            "x-request-id",
            "x-correlation-id",
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
            "expect",
            "user-agent",
            "monkey",
        ] {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }
}
