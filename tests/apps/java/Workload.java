import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** One request of the test bed: its query, its inbound context, and what follows from them. */
final class Workload {
    private static final String DOWNSTREAM =
            System.getenv().getOrDefault("DOWNSTREAM", "http://127.0.0.1:9");
    private static final Pattern TRACEPARENT =
            Pattern.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}");

    /** Trace of the request that began last, as a global that a careless library keeps its context in. */
    private static final AtomicReference<String> LAST = new AtomicReference<>();

    final int calls;
    final boolean parallel;
    private final String id;
    private final String mode;
    private final String log;
    private final int variant;
    private final String inbound;
    private final String trace;
    private final String leaked;

    Workload(String query, String traceparent) {
        Map<String, String> fields = new HashMap<>();
        for (String pair : query.split("&")) {
            String[] parts = pair.split("=", 2);
            fields.put(parts[0], parts.length == 2 ? parts[1] : "");
        }
        id = fields.getOrDefault("id", "none");
        mode = fields.getOrDefault("mode", "propagate");
        log = fields.getOrDefault("log", "linked");
        parallel = fields.getOrDefault("par", "0").equals("1");
        calls = Integer.parseInt(fields.getOrDefault("calls", "2"));
        variant = Integer.parseInt(fields.getOrDefault("var", "0"));
        inbound = traceparent;
        Matcher matcher = TRACEPARENT.matcher(traceparent == null ? "" : traceparent);
        trace = matcher.matches() ? matcher.group(1) : traceId();
        String before = LAST.getAndSet(trace);
        leaked = before == null ? trace : before;
    }

    static String spanId() {
        return String.format("%016x", ThreadLocalRandom.current().nextLong() | 1);
    }

    static String traceId() {
        return spanId() + spanId();
    }

    String url(int n) {
        return DOWNSTREAM + "/down?id=" + id + "&n=" + n;
    }

    static String backgroundUrl(int n) {
        return DOWNSTREAM + "/bg?n=" + n;
    }

    static String backgroundLine(int n) {
        return "{\"level\":\"info\",\"message\":\"tick\",\"bg\":" + n + "}";
    }

    /** Propagation headers of one call: name, value, name, value, ... */
    List<String> headers() {
        String span = spanId();
        switch (mode) {
            case "propagate":
                return List.of("traceparent", "00-" + trace + "-" + span + "-01");
            case "leak":
                return List.of("traceparent", "00-" + leaked + "-" + span + "-01");
            case "restart":
                return List.of("traceparent", "00-" + traceId() + "-" + span + "-01");
            case "forward":
                return inbound == null ? List.of() : List.of("traceparent", inbound);
            case "malformed":
                return List.of("traceparent", malformed(span));
            case "b3":
                return variant % 2 == 1
                        ? List.of("b3", trace + "-" + span + "-1")
                        : List.of("X-B3-TraceId", trace, "X-B3-SpanId", span, "X-B3-Sampled", "1");
            default:
                return List.of();
        }
    }

    /** A traceparent that breaks one rule of W3C Trace Context, level 1, section 3.2. */
    private String malformed(String span) {
        List<String> kinds = new ArrayList<>();
        kinds.add("00-" + trace.substring(0, 31) + "-" + span + "-01");
        kinds.add("00-" + trace.substring(0, 30).toUpperCase() + "AB-" + span + "-01");
        kinds.add("ff-" + trace + "-" + span + "-01");
        kinds.add("00-" + "0".repeat(32) + "-" + span + "-01");
        kinds.add("00-" + trace + "-" + "0".repeat(16) + "-01");
        kinds.add("00-" + trace.substring(0, 31) + "g-" + span + "-01");
        kinds.add("00-" + trace + "-" + span);
        kinds.add("00-" + trace + "-" + span + "-01-extra");
        return kinds.get(variant % kinds.size());
    }

    /** Log line k of this request: JSON when k is even, text when it is odd. */
    String line(int k) {
        String name = "trace_id";
        String value = null;
        switch (log) {
            case "linked":
                value = trace;
                break;
            case "zero":
                value = "0".repeat(32);
                break;
            case "decimal":
                name = "dd.trace_id";
                value = new BigInteger(trace.substring(16), 16).toString();
                break;
            default:
        }
        if (k % 2 == 0) {
            String field = value == null ? "" : ",\"" + name + "\":\"" + value + "\"";
            return "{\"level\":\"info\",\"message\":\"step\",\"id\":\"" + id + "\",\"k\":" + k + field + "}";
        }
        return "INFO step id=" + id + " k=" + k + (value == null ? "" : " " + name + "=" + value);
    }
}
