import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.Executors;

/** The JDK's HttpServer with a fixed pool of threads, each calling synchronously with HttpURLConnection. */
public final class Server {
    private static final int TIMEOUT_MS =
            Integer.parseInt(System.getenv().getOrDefault("TIMEOUT_MS", "0"));

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "0"));
        int threads = Integer.parseInt(System.getenv().getOrDefault("THREADS", "16"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 256);
        server.setExecutor(Executors.newFixedThreadPool(threads));
        server.createContext("/work", Server::work);
        server.start();
        print("ready " + server.getAddress().getPort());
        startBackground();
    }

    private static void work(HttpExchange exchange) throws IOException {
        Workload job = new Workload(
                exchange.getRequestURI().getRawQuery(),
                exchange.getRequestHeaders().getFirst("traceparent"));
        print(job.line(0));
        for (int n = 1; n <= job.calls; n++) {
            call(job.url(n), job.headers());
            if (n <= 2) {
                print(job.line(n));
            }
        }
        for (int k = Math.min(job.calls, 2) + 1; k < 4; k++) {
            print(job.line(k));
        }
        byte[] body = "done\n".getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }

    private static void call(String url, List<String> headers) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
        connection.setConnectTimeout(TIMEOUT_MS);
        connection.setReadTimeout(TIMEOUT_MS);
        for (int i = 0; i < headers.size(); i += 2) {
            connection.setRequestProperty(headers.get(i), headers.get(i + 1));
        }
        try (InputStream body = connection.getInputStream()) {
            body.readAllBytes();
        }
    }

    private static void startBackground() {
        long pause = Long.parseLong(System.getenv().getOrDefault("BG_MS", "50"));
        if (pause == 0) {
            return;
        }
        Thread timer = new Thread(() -> {
            for (int n = 1; ; n++) {
                try {
                    Thread.sleep(pause);
                    call(Workload.backgroundUrl(n), List.of());
                } catch (IOException | InterruptedException error) {
                    return;
                }
                print(Workload.backgroundLine(n));
            }
        });
        timer.setDaemon(true);
        timer.start();
    }

    /** One write for one line: the JDK's PrintStream alone would write text and line end apart. */
    private static void print(String line) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        System.out.write(bytes, 0, bytes.length);
        System.out.flush();
    }
}
