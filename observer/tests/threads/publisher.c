/* Publishes a context as OTEP 4947 says, from threads of its own, and says so by what it writes. Compiled whole, or in two
 * parts: the variable with `LIBRARY` into a library, which the other part loads. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct record {
    uint8_t trace_id[16], span_id[8], valid, flags;
    uint16_t attrs_data_size;
};

#if defined(LIBRARY) || !defined(LOADED)
/* Thread-local data of its own, so that the variable does not lie at the beginning. */
__attribute__((visibility("default"))) __thread char other[40] = "x";
__attribute__((visibility("default"))) __thread struct record *volatile otel_thread_ctx_v1 = 0;
__attribute__((visibility("default"))) void publish(struct record *record) {
    other[1]++;
    otel_thread_ctx_v1 = record;
}
#endif

#ifndef LIBRARY
static void (*attach)(struct record *);

static struct record of(uint8_t n, uint8_t valid) {
    struct record record = {.valid = valid};
    memset(record.trace_id, n, 16);
    memset(record.span_id, n, 8);
    return record;
}

static void say(char n) {
    char text[2] = {n, '\n'};
    if (write(1, text, 2) != 2)
        _exit(1);
}

static void *work(void *unused) {
    struct record first = of(0x41, 1), second = of(0x42, 1), invalid = of(0x43, 2);
    (void)unused;
    say('0');
    attach(&first);
    say('A');
    attach(&second);
    say('B');
    attach(&invalid);
    say('1');
    attach(0);
    say('2');
    return 0;
}

int main(int argc, char **argv) {
    char go;
#ifdef LOADED
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : 0;
    if (!library)
        return 1;
    *(void **)&attach = dlsym(library, "publish");
    attach(0);
#else
    (void)argc, (void)argv;
    attach = publish;
#endif
    fputs("ready\n", stderr);
    if (read(0, &go, 1) != 1)
        return 0;
    work(0);
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        pthread_create(&thread, 0, work, 0);
        pthread_join(thread, 0);
    }
    say('.');
    return read(0, &go, 1) < 0;
}
#endif
