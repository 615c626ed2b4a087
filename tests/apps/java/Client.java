import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/** Makes one call, with headers given as name, value, name, value, ... */
interface Client {
    void call(String url, List<String> headers) throws IOException, InterruptedException;

    /** The same without waiting for it, on a thread of `executor` or of the client's own. */
    default CompletableFuture<Void> start(String url, List<String> headers, Executor executor) {
        return CompletableFuture.runAsync(() -> {
            try {
                call(url, headers);
            } catch (IOException | InterruptedException error) {
                throw new IllegalStateException(error);
            }
        }, executor);
    }

    /** The client that the environment's CLIENT names. */
    static Client fromEnvironment() {
        return Env.text("CLIENT", "url").equals("http") ? new Modern() : new Classic();
    }

    /** HttpURLConnection: the calling thread writes and reads. */
    final class Classic implements Client {
        private final int timeout = Env.number("TIMEOUT_MS", 0);

        @Override
        public void call(String url, List<String> headers) throws IOException {
            HttpURLConnection connection =
                    (HttpURLConnection) URI.create(url).toURL().openConnection();
            connection.setConnectTimeout(timeout);
            connection.setReadTimeout(timeout);
            for (int i = 0; i < headers.size(); i += 2) {
                connection.setRequestProperty(headers.get(i), headers.get(i + 1));
            }
            try (InputStream body = connection.getInputStream()) {
                body.readAllBytes();
            }
        }
    }

    /** java.net.http: a selector thread and the client's executor write and read. */
    final class Modern implements Client {
        private final HttpClient client =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

        @Override
        public void call(String url, List<String> headers) throws IOException, InterruptedException {
            client.send(request(url, headers), HttpResponse.BodyHandlers.discarding());
        }

        @Override
        public CompletableFuture<Void> start(String url, List<String> headers, Executor executor) {
            return client.sendAsync(request(url, headers), HttpResponse.BodyHandlers.discarding())
                    .thenAccept(response -> { });
        }

        private static HttpRequest request(String url, List<String> headers) {
            HttpRequest.Builder builder =
                    HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(30));
            if (!headers.isEmpty()) {
                builder.headers(headers.toArray(new String[0]));
            }
            return builder.build();
        }
    }
}
