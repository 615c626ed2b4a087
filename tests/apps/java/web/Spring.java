import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.web.context.WebServerInitializedEvent;
import org.springframework.context.event.EventListener;
import org.springframework.http.HttpHeaders;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestClient;

/** Spring Boot on Tomcat with its RestClient, which is java.net.http below. */
// Without a scan for components: it would look through everything that has no package.
@EnableAutoConfiguration
@RestController
public class Spring {
    private final Service service = new Service(new Rest());

    public static void main(String[] args) {
        SpringApplication application = new SpringApplication(Spring.class);
        application.setDefaultProperties(Map.of(
                "server.address", "127.0.0.1",
                "server.port", Env.text("PORT", "0"),
                "server.tomcat.threads.max", Env.text("THREADS", "16"),
                "server.tomcat.max-keep-alive-requests", "-1",
                "spring.threads.virtual.enabled", Env.text("SERVING", "pool").equals("virtual"),
                "spring.main.banner-mode", "off",
                "logging.level.root", "error"));
        application.run(args);
    }

    @EventListener
    public void ready(WebServerInitializedEvent event) {
        Service.print("ready " + event.getWebServer().getPort());
        service.startBackground();
    }

    @GetMapping("/work")
    public String work(HttpServletRequest request) throws IOException {
        service.serve(new Workload(request.getQueryString(), request.getHeader("traceparent")));
        return "done\n";
    }

    private static final class Rest implements Client {
        private final RestClient client = RestClient.create();

        @Override
        public void call(String url, List<String> headers) {
            client.get()
                    .uri(url)
                    .headers(all -> add(all, headers))
                    .retrieve()
                    .toBodilessEntity();
        }

        private static void add(HttpHeaders all, List<String> headers) {
            for (int i = 0; i < headers.size(); i += 2) {
                all.add(headers.get(i), headers.get(i + 1));
            }
        }
    }
}
