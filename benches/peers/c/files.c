// Reads of files of 4 KiB in $FILES: `files N THREADS` makes N of them by so many OS threads, $REPS times.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int share;
static const char *folder;
struct part { int first, last; long sum; };

static void *read_part(void *argument) {
    struct part *part = argument;
    char path[4096], bytes[65536];
    for (int g = part->first; g < part->last; g++)
        for (int i = 0; i < share; i++) {
            snprintf(path, sizeof path, "%s/f%d", folder, (g * 7 + i) % 1000);
            int file = open(path, O_RDONLY | O_CLOEXEC);
            ssize_t n, size = 0;
            while ((n = read(file, bytes, sizeof bytes)) > 0) size += n;
            if (file < 0 || n < 0) { perror(path); exit(1); }
            close(file);
            part->sum += size;
        }
    return 0;
}

int main(int argc, char **argv) {
    int n = atoi(argv[1]), threads = atoi(argv[2]);
    char *reps = getenv("REPS");
    folder = getenv("FILES");
    share = n / 1000;
    for (int r = reps ? atoi(reps) : 1; r > 0; r--) {
        struct timespec start, end;
        pthread_t *ids = calloc(threads, sizeof *ids);
        struct part *parts = calloc(threads, sizeof *parts);
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int t = 0; t < threads; t++) {
            parts[t] = (struct part){t * 1000 / threads, (t + 1) * 1000 / threads, 0};
            pthread_create(&ids[t], 0, read_part, &parts[t]);
        }
        long sum = 0;
        for (int t = 0; t < threads; t++) { pthread_join(ids[t], 0); sum += parts[t].sum; }
        clock_gettime(CLOCK_MONOTONIC, &end);
        if (sum != (long)share * 1000 * 4096) { fprintf(stderr, "a wrong sum: %ld\n", sum); return 1; }
        printf("reads_s %f\n", share * 1000 / (end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9));
        free(ids); free(parts);
    }
    return 0;
}
