/** Settings from the environment. */
final class Env {
    private Env() { }

    static String text(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }

    static int number(String name, int otherwise) {
        return Integer.parseInt(text(name, Integer.toString(otherwise)));
    }
}
