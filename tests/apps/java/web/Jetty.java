import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/** Jetty, whose threads take turns at waiting for connections and at serving them. */
public final class Jetty extends Handler.Abstract {
    private final Service service = new Service(Client.fromEnvironment());

    public static void main(String[] args) throws Exception {
        // Jetty keeps some threads for accepting and selecting.
        Server server = new Server(new QueuedThreadPool(Env.number("THREADS", 16) + 4));
        ServerConnector connector = new ServerConnector(server, 1, 1);
        connector.setHost("127.0.0.1");
        connector.setPort(Env.number("PORT", 0));
        server.addConnector(connector);
        Jetty jetty = new Jetty();
        server.setHandler(jetty);
        server.start();
        Service.print("ready " + connector.getLocalPort());
        jetty.service.startBackground();
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        if (!request.getHttpURI().getPath().equals("/work")) {
            return false;
        }
        String traceparent = request.getHeaders().get("traceparent");
        service.serve(new Workload(request.getHttpURI().getQuery(), traceparent));
        ByteBuffer body = ByteBuffer.wrap("done\n".getBytes(StandardCharsets.UTF_8));
        response.write(true, body, callback);
        return true;
    }
}
