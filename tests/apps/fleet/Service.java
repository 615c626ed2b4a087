import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A service of the fleet: the JDK's HttpServer with a pool of threads; HttpURLConnection. FAULT=restart starts a
 * trace of its own for each request, whatever comes in.
 */
public final class Service {
    private static final Pattern TRACEPARENT =
            Pattern.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}");
    private static final boolean RESTARTS = "restart".equals(System.getenv("FAULT"));
    private static final String[] PEERS = System.getenv().getOrDefault("PEERS", "").split(" ");

    public static void main(String[] args) throws IOException {
        String[] listen = System.getenv("LISTEN").split(":");
        InetSocketAddress address = new InetSocketAddress(listen[0], Integer.parseInt(listen[1]));
        HttpServer server = HttpServer.create(address, 256);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", Service::serve);
        server.start();
        print("ready");
    }

    private static void serve(HttpExchange exchange) throws IOException {
        String inbound = exchange.getRequestHeaders().getFirst("traceparent");
        Matcher found = TRACEPARENT.matcher(inbound == null ? "" : inbound);
        boolean restarts = RESTARTS && inbound != null;
        String trace = found.matches() && !RESTARTS ? found.group(1) : id() + id();
        // An id that the request did not come in with is known to nobody.
        String log = restarts ? "foreign" : "linked";
        for (String peer : PEERS) {
            String[] named = peer.split("=", 2);
            HttpURLConnection call =
                    (HttpURLConnection) URI.create(named[1] + "/" + named[0]).toURL().openConnection();
            call.setRequestProperty("traceparent", "00-" + trace + "-" + id() + "-01");
            try (InputStream body = call.getInputStream()) {
                body.readAllBytes();
            }
            String sent = restarts ? "restarted" : found.matches() ? "propagated" : "originated";
            say(trace, log, "\"message\":\"called\",\"to\":\"" + named[0] + "\",\"sent\":\"" + sent + "\"");
        }
        say(trace, log, "\"message\":\"served\"");
        byte[] body = "done\n".getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static String id() {
        return String.format("%016x", ThreadLocalRandom.current().nextLong(1, Long.MAX_VALUE));
    }

    private static void say(String trace, String log, String fields) {
        print("{\"level\":\"info\"," + fields + ",\"log\":\"" + log + "\",\"trace_id\":\"" + trace + "\"}");
    }

    /** One write for one line. */
    private static void print(String line) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        System.out.write(bytes, 0, bytes.length);
        System.out.flush();
    }
}
