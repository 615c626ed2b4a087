import jakarta.servlet.AsyncContext;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;

/**
 * Tomcat with an asynchronous servlet, and a service that has Tomcat's workers do its own work as well: a request comes back to
 * a worker, which may be the one that had read it, and which has done something else in between.
 */
public final class Async extends HttpServlet {
    private static final long serialVersionUID = 1;
    private static final Client CLIENT = Client.fromEnvironment();
    private static final ScheduledExecutorService TIMER = Executors.newScheduledThreadPool(2, task -> {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        return thread;
    });

    /** How long a request waits for whatever it waits for, milliseconds. */
    private static final int PAUSE_MS = 8;

    private final transient Service service = new Service(CLIENT);

    public static void main(String[] args) throws Exception {
        Logger.getLogger("org.apache").setLevel(Level.SEVERE);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(System.getProperty("java.io.tmpdir"));
        Connector connector = new Connector();
        connector.setPort(Env.number("PORT", 0));
        connector.setProperty("address", "127.0.0.1");
        connector.setProperty("maxThreads", Env.text("THREADS", "16"));
        connector.setProperty("minSpareThreads", Env.text("THREADS", "16"));
        connector.setProperty("maxKeepAliveRequests", "-1");
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", null);
        Tomcat.addServlet(context, "work", new Async()).setAsyncSupported(true);
        context.addServletMappingDecoded("/work", "work");
        tomcat.start();
        Service.print("ready " + connector.getLocalPort());
        startBackground(connector.getProtocolHandler().getExecutor());
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (request.getDispatcherType() != DispatcherType.ASYNC) {
            AsyncContext later = request.startAsync();
            later.setTimeout(0);
            TIMER.schedule(() -> later.dispatch(), PAUSE_MS, TimeUnit.MILLISECONDS);
            return;
        }
        service.serve(new Workload(request.getQueryString(), request.getHeader("traceparent")));
        response.getWriter().write("done\n");
    }

    /** Starts the work that is done for no request, by the server's own workers. */
    private static void startBackground(Executor workers) {
        int pause = Env.number("BG_MS", 50);
        if (pause > 0) {
            TIMER.schedule(() -> workers.execute(() -> background(workers, pause, 1)), pause, TimeUnit.MILLISECONDS);
        }
    }

    private static void background(Executor workers, int pause, int n) {
        try {
            CLIENT.call(Workload.backgroundUrl(n), List.of());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        } catch (InterruptedException stopped) {
            return;
        }
        Service.print(Workload.backgroundLine(n));
        TIMER.schedule(
                () -> workers.execute(() -> background(workers, pause, n + 1)), pause, TimeUnit.MILLISECONDS);
    }
}
