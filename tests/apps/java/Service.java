import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * What a Java service does for one request, whatever serves it. The environment's STEPS says who makes the
 * calls: the request's own thread (own; in parallel, new threads), a pool that it waits for (pool), or
 * stages of a CompletableFuture that nobody waits for (stages).
 */
final class Service {
    private final Client client;
    private final String steps = Env.text("STEPS", "own");
    private final ExecutorService pool = Executors.newFixedThreadPool(Env.number("THREADS", 16));
    private final Executor newThreads = task -> new Thread(task).start();

    /** A service that calls with `client`. */
    Service(Client client) {
        this.client = client;
    }

    /** Whether `stages` serves a request, which then is answered by the last stage. */
    boolean inStages() {
        return steps.equals("stages");
    }

    /** Serves a request; it is to be answered when this returns. */
    void serve(Workload job) throws IOException {
        print(job.line(0));
        try {
            if (job.parallel) {
                List<CompletableFuture<Void>> all = new ArrayList<>();
                for (int n = 1; n <= job.calls; n++) {
                    all.add(start(job, n, steps.equals("pool") ? pool : newThreads));
                }
                for (CompletableFuture<Void> one : all) {
                    one.get();
                }
            } else {
                for (int n = 1; n <= job.calls; n++) {
                    step(job, n);
                }
            }
        } catch (InterruptedException | ExecutionException error) {
            throw new IOException(error);
        }
        lastLines(job);
    }

    /** Serves a request in stages; it is to be answered when the future completes. */
    CompletableFuture<Void> stages(Workload job) {
        print(job.line(0));
        CompletableFuture<Void> done = CompletableFuture.completedFuture(null);
        List<CompletableFuture<Void>> all = new ArrayList<>();
        for (int n = 1; n <= job.calls; n++) {
            int number = n;
            if (job.parallel) {
                all.add(start(job, number, pool));
            } else {
                done = done.thenComposeAsync(nothing -> start(job, number, pool), pool);
            }
        }
        if (job.parallel) {
            done = CompletableFuture.allOf(all.toArray(CompletableFuture<?>[]::new));
        }
        return done.thenRunAsync(() -> lastLines(job), pool);
    }

    private void step(Workload job, int n) throws IOException, InterruptedException, ExecutionException {
        if (steps.equals("pool")) {
            Future<?> one = pool.submit(() -> {
                client.call(job.url(n), job.headers());
                lineAfter(job, n);
                return null;
            });
            one.get();
        } else {
            client.call(job.url(n), job.headers());
            lineAfter(job, n);
        }
    }

    private CompletableFuture<Void> start(Workload job, int n, Executor executor) {
        return client.start(job.url(n), job.headers(), executor).thenRun(() -> lineAfter(job, n));
    }

    private static void lineAfter(Workload job, int n) {
        if (n <= 2) {
            print(job.line(n));
        }
    }

    private static void lastLines(Workload job) {
        for (int k = Math.min(job.calls, 2) + 1; k < 4; k++) {
            print(job.line(k));
        }
    }

    /** Starts the work that is done for no request. */
    void startBackground() {
        int pause = Env.number("BG_MS", 50);
        if (pause == 0) {
            return;
        }
        Thread timer = new Thread(() -> {
            for (int n = 1; ; n++) {
                try {
                    Thread.sleep(pause);
                    client.call(Workload.backgroundUrl(n), List.of());
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
    static void print(String line) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.UTF_8);
        System.out.write(bytes, 0, bytes.length);
        System.out.flush();
    }
}
