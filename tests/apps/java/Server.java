import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;

/** The JDK's HttpServer with a fixed pool of threads, or, with SERVING=virtual, a virtual thread per request. */
public final class Server {
    private static final Service SERVICE = new Service(Client.fromEnvironment());

    public static void main(String[] args) throws IOException, ReflectiveOperationException {
        InetSocketAddress address = new InetSocketAddress("127.0.0.1", Env.number("PORT", 0));
        HttpServer server = HttpServer.create(address, 256);
        server.setExecutor(executor());
        server.createContext("/work", Server::work);
        server.start();
        Service.print("ready " + server.getAddress().getPort());
        SERVICE.startBackground();
    }

    private static Executor executor() throws ReflectiveOperationException {
        if (Env.text("SERVING", "pool").equals("virtual")) {
            // By reflection, so that it compiles with a JDK that has none.
            return (Executor) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
        }
        return Executors.newFixedThreadPool(Env.number("THREADS", 16));
    }

    private static void work(HttpExchange exchange) throws IOException {
        Workload job = new Workload(
                exchange.getRequestURI().getRawQuery(),
                exchange.getRequestHeaders().getFirst("traceparent"));
        if (SERVICE.inStages()) {
            SERVICE.stages(job).whenComplete((done, error) -> {
                try {
                    answer(exchange, error == null ? 200 : 502);
                } catch (IOException gone) {
                    // The client went away: nobody is left to tell.
                }
            });
            return;
        }
        SERVICE.serve(job);
        answer(exchange, 200);
    }

    private static void answer(HttpExchange exchange, int status) throws IOException {
        byte[] body = "done\n".getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
